/*
 * label_text.c - a hand-written parser of {name="value", ...} (see label_text.h).
 *
 * A comma may stand behind the last label.  Names are classic identifiers or
 * quoted; values are quoted with "..." and Go's escapes, or `...` raw.
 */
#include "wire/label_text.h"

#include "base/error.h"
#include "base/number.h"

struct scanner {
    struct arena *arena;
    struct slice text;
    size_t at;
    struct error *err;
};

static bool fail(struct scanner *s, const char *expected)
{
    if (s->at >= s->text.size)
        return error_set_at(s->err, ERR_INVALID, s->at, "labels end at byte %zu, expected %s",
                            s->at, expected);
    return error_set_at(s->err, ERR_INVALID, s->at, "unexpected \"%.*s\" at byte %zu, expected %s",
                        SLICE_ARG(slice_sub(s->text, s->at, 1)), s->at, expected);
}

static char peek(const struct scanner *s)
{
    return s->at < s->text.size ? s->text.data[s->at] : '\0';
}

static void skip_blanks(struct scanner *s)
{
    while (s->at < s->text.size && strchr(" \t\r\n", s->text.data[s->at]) && peek(s) != '\0')
        s->at++;
}

static bool take_byte(struct scanner *s, char byte, const char *expected)
{
    skip_blanks(s);
    if (s->at >= s->text.size || s->text.data[s->at] != byte)
        return fail(s, expected);
    s->at++;
    return true;
}

/* The literal from its opening quote to its closing one, decoded. */
static bool take_quoted(struct scanner *s, struct slice *value)
{
    size_t begin = s->at;
    char quote = s->text.data[s->at++];

    while (s->at < s->text.size && s->text.data[s->at] != quote) {
        if (quote == '"' && s->text.data[s->at] == '\\')
            s->at++;
        s->at++;
    }
    if (s->at >= s->text.size) {
        s->at = s->text.size;
        return fail(s, "the end of a quoted text");
    }
    s->at++;
    if (slice_unquote(s->arena, slice_sub(s->text, begin, s->at - begin), false, value, s->err))
        return true;
    if (s->err)
        s->err->position = (int32_t)(begin < INT32_MAX ? begin + 1 : 0);
    return error_prefix(s->err, "quoted text at byte %zu", begin);
}

static bool is_quote(char c)
{
    return c == '"' || c == '`';
}

static bool take_name(struct scanner *s, struct slice *name)
{
    skip_blanks(s);
    if (peek(s) == '"')
        return take_quoted(s, name);
    size_t begin = s->at;
    while (s->at < s->text.size) {
        char c = s->text.data[s->at];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(c >= '0' && c <= '9' && s->at > begin))
            break;
        s->at++;
    }
    *name = slice_sub(s->text, begin, s->at - begin);
    return name->size > 0 || fail(s, "a label name or \"}\"");
}

static bool take_label(struct scanner *s, struct label *label)
{
    if (!take_name(s, &label->name) || !take_byte(s, '=', "\"=\""))
        return false;
    skip_blanks(s);
    if (!is_quote(peek(s)))
        return fail(s, "a quoted value");
    return take_quoted(s, &label->value);
}

bool label_text_parse(struct arena *arena, struct slice text, struct label *labels,
                      size_t count_max, size_t *count, struct error *err)
{
    struct scanner s = {.arena = arena, .text = text, .err = err};
    size_t found = 0;

    if (!take_byte(&s, '{', "\"{\""))
        return false;
    skip_blanks(&s);
    while (peek(&s) != '}') {
        if (found == count_max)
            return error_set(err, ERR_LIMIT, "more than %zu labels, the limit", count_max);
        if (!take_label(&s, &labels[found++]))
            return false;
        skip_blanks(&s);
        if (peek(&s) == '}')
            break;
        if (!take_byte(&s, ',', "\",\" or \"}\""))
            return false;
        skip_blanks(&s);
    }
    s.at++;
    skip_blanks(&s);
    if (s.at < text.size)
        return fail(&s, "the end");
    *count = found;
    return true;
}
