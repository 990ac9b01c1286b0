/*
 * form.c - see form.h.
 *
 * Text without '%' and '+' is used where it stands, so a plain parameter costs
 * no copy; the request outlives its form.
 */
#include "server/form.h"

#include "base/arena.h"
#include "base/error.h"

#include <stdint.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool needs_decoding(struct slice text, bool plus)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] == '%' || (plus && text.data[i] == '+'))
            return true;
    return false;
}

bool url_decode(struct arena *arena, struct slice text, bool plus, struct slice *out,
                struct error *err)
{
    if (!needs_decoding(text, plus)) {
        *out = text;
        return true;
    }
    char *decoded = arena_alloc(arena, text.size);
    if (!decoded)
        return error_set(err, ERR_LIMIT, "the parameters are over %zu bytes", arena_limit(arena));
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '+' && plus) {
            c = ' ';
        } else if (c == '%') {
            bool whole = text.size - i > 2;
            int high = whole ? hex_digit(text.data[i + 1]) : -1;
            int low = whole ? hex_digit(text.data[i + 2]) : -1;
            if (high < 0 || low < 0) {
                struct slice shown = slice_sub(text, i, 3);
                return error_set(err, ERR_INVALID, "invalid URL escape \"%.*s\"", SLICE_ARG(shown));
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        decoded[size++] = c;
    }
    *out = slice_of(decoded, size);
    return true;
}

void form_init(struct form *form, struct arena *arena)
{
    *form = (struct form){.arena = arena};
}

static bool add_pair(struct form *form, struct slice part, struct error *err)
{
    if (form->count == FORM_PAIRS_MAX)
        return error_set(err, ERR_LIMIT, "the request has over %d parameters", FORM_PAIRS_MAX);
    size_t equals = slice_find_byte(part, '=', 0);
    struct slice name = equals == SLICE_NOT_FOUND ? part : slice_sub(part, 0, equals);
    struct slice value = equals == SLICE_NOT_FOUND ? SLICE("") : slice_skip(part, equals + 1);
    struct form_pair pair;
    if (!url_decode(form->arena, name, true, &pair.name, err) ||
        !url_decode(form->arena, value, true, &pair.value, err))
        return false;
    if (!pair.value.data)
        pair.value = SLICE(""); /* present but empty is not absent */
    if (form->count == form->capacity) {
        struct form_pair *grown = arena_grow(form->arena, form->pairs, form->count, &form->capacity,
                                             form->count + 1, sizeof(*grown));
        if (!grown)
            return error_set(err, ERR_LIMIT, "the parameters are over %zu bytes",
                             arena_limit(form->arena));
        form->pairs = grown;
    }
    form->pairs[form->count++] = pair;
    return true;
}

bool form_parse(struct form *form, struct slice text, struct error *err)
{
    struct slice part;
    if (text.size == 0)
        return true;
    while (slice_split(&text, '&', &part))
        if (part.size > 0 && !add_pair(form, part, err))
            return false;
    return true;
}

struct slice form_get(const struct form *form, struct slice name)
{
    size_t at = 0;
    struct slice value = {NULL, 0};
    return form_next(form, name, &at, &value) ? value : (struct slice){NULL, 0};
}

bool form_next(const struct form *form, struct slice name, size_t *at, struct slice *value)
{
    for (size_t i = *at; i < form->count; i++) {
        if (!slice_equal(form->pairs[i].name, name))
            continue;
        *at = i + 1;
        *value = form->pairs[i].value;
        return true;
    }
    *at = form->count;
    return false;
}
