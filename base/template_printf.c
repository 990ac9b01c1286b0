/*
 * template_printf.c - Go's fmt.Sprintf over template values: the verbs v s q d f e g
 * x X o b t T c with flags, width and precision.
 */
#include "base/buffer.h"
#include "base/error.h"
#include "base/number.h"
#include "base/template_tree.h"
#include "base/utf8.h"

enum { WIDTH_MAX = 10000, TEXT_MAX = 4 << 20 };

struct verb {
    bool minus, plus, zero, blank, sharp, has_precision;
    int width, precision;
    char letter;
};

static const char *type_name(const struct template_value *v)
{
    static const char *const names[] = {"<nil>",
                                        "string",
                                        "int",
                                        "float64",
                                        "bool",
                                        "time.Time",
                                        "map[string]string",
                                        "map[string]interface {}",
                                        "[]interface {}"};
    return names[v->type];
}

static void print_whole(struct buffer *b, const struct verb *verb, int64_t value)
{
    char digits[80];
    size_t size = 0;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    unsigned base = verb->letter == 'b'   ? 2
                    : verb->letter == 'o' ? 8
                    : verb->letter == 'd' ? 10
                                          : 16;
    const char *letters = verb->letter == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    do {
        digits[size++] = letters[rest % base];
        rest /= base;
    } while (rest > 0);
    size_t sign = value < 0 || verb->plus || verb->blank;
    size_t wanted = verb->zero && !verb->minus && verb->width > 0 ? (size_t)verb->width : 0;
    if (sign)
        buffer_append_byte(b, value < 0 ? '-' : verb->plus ? '+' : ' ');
    for (size_t i = size + sign; i < wanted; i++)
        buffer_append_byte(b, '0');
    while (size > 0)
        buffer_append_byte(b, digits[--size]);
}

static void print_float(struct buffer *b, const struct verb *verb, double value)
{
    if (verb->plus && value >= 0)
        buffer_append_byte(b, '+');
    int precision = verb->has_precision ? verb->precision : 6;
    if (verb->letter == 'f' || verb->letter == 'F')
        buffer_printf(b, "%.*f", precision, value);
    else if (verb->letter == 'e')
        buffer_printf(b, "%.*e", precision, value);
    else if (verb->has_precision)
        buffer_printf(b, "%.*g", precision, value);
    else
        buffer_append_double(b, value, 'g');
}

static void print_hex(struct buffer *b, const struct verb *verb, struct slice s)
{
    for (size_t i = 0; i < s.size; i++)
        buffer_printf(b, verb->letter == 'X' ? "%02X" : "%02x", (unsigned char)s.data[i]);
}

static struct slice cut(const struct verb *verb, struct slice s)
{
    size_t at = 0;
    if (!verb->has_precision)
        return s;
    for (int i = 0; i < verb->precision && at < s.size; i++)
        utf8_next(s, &at, NULL);
    return slice_sub(s, 0, at);
}

/* False when the verb does not fit the value. */
static bool print_value(struct buffer *b, const struct verb *verb, const struct template_value *v)
{
    char code[UTF8_SIZE_MAX];
    bool text = v->type == TV_STRING, integer = v->type == TV_INT;
    bool print = verb->letter == 'v' || (verb->letter == 's' && !integer && v->type != TV_FLOAT &&
                                         v->type != TV_BOOL && v->type != TV_NIL);
    if (print && text)
        buffer_append_slice(b, cut(verb, v->text));
    else if (print)
        template_print(b, v, true);
    else if (verb->letter == 'T')
        buffer_append_text(b, type_name(v));
    else if (verb->letter == 'q' && text)
        buffer_append_quoted(b, v->text);
    else if ((verb->letter == 'x' || verb->letter == 'X') && text)
        print_hex(b, verb, v->text);
    else if (integer && strchr("dxXob", verb->letter))
        print_whole(b, verb, v->integer);
    else if (integer && verb->letter == 'c')
        buffer_append(b, code, utf8_encode(code, (uint32_t)v->integer & 0x1FFFFF));
    else if (v->type == TV_FLOAT && strchr("feFgG", verb->letter))
        print_float(b, verb, v->number);
    else if (v->type == TV_BOOL && verb->letter == 't')
        buffer_append_text(b, v->integer ? "true" : "false");
    else
        return false;
    return true;
}

static void print_padded(struct buffer *out, const struct verb *verb, struct slice s)
{
    size_t length = 0;
    for (size_t at = 0; at < s.size; length++)
        utf8_next(s, &at, NULL);
    size_t pad = verb->width > 0 && (size_t)verb->width > length ? (size_t)verb->width - length : 0;
    if (verb->minus)
        buffer_append_slice(out, s);
    for (size_t i = 0; i < pad; i++)
        buffer_append_byte(out, ' ');
    if (!verb->minus)
        buffer_append_slice(out, s);
}

static void print_verb(struct buffer *out, const struct verb *verb, const struct template_value *v)
{
    struct buffer b;
    buffer_init(&b, TEXT_MAX);
    if (print_value(&b, verb, v)) {
        print_padded(out, verb, buffer_slice(&b));
    } else {
        buffer_printf(out, "%%!%c(%s=", verb->letter, type_name(v));
        template_print(out, v, true);
        buffer_append_byte(out, ')');
    }
    buffer_done(&b);
}

struct arguments {
    const struct template_value *items;
    size_t count, next;
};

static int read_number(struct slice format, size_t *at, struct arguments *arguments)
{
    int number = 0;
    if (*at < format.size && format.data[*at] == '*') {
        (*at)++;
        if (arguments->next < arguments->count && arguments->items[arguments->next].type == TV_INT)
            number = (int)(arguments->items[arguments->next++].integer % WIDTH_MAX);
        return number;
    }
    for (; *at < format.size && format.data[*at] >= '0' && format.data[*at] <= '9'; (*at)++)
        number = number < WIDTH_MAX ? number * 10 + (format.data[*at] - '0') : number;
    return number < WIDTH_MAX ? number : WIDTH_MAX;
}

static bool read_flag(struct verb *verb, char c)
{
    bool *flags[] = {&verb->minus, &verb->plus, &verb->zero, &verb->blank, &verb->sharp};
    static const char letters[] = "-+0 #";
    const char *found = c ? strchr(letters, c) : NULL;
    if (found)
        *flags[found - letters] = true;
    return found != NULL;
}

/* `*at` stands behind the percent sign. */
static void format_verb(struct buffer *out, struct slice format, size_t *at,
                        struct arguments *arguments)
{
    struct verb verb = {0};
    while (*at < format.size && read_flag(&verb, format.data[*at]))
        (*at)++;
    verb.width = read_number(format, at, arguments);
    if (verb.width < 0) {
        verb.minus = true;
        verb.width = -verb.width;
    }
    if (*at < format.size && format.data[*at] == '.') {
        (*at)++;
        verb.has_precision = true;
        verb.precision = read_number(format, at, arguments);
        verb.precision = verb.precision < 0 ? 0 : verb.precision;
    }
    if (*at >= format.size) {
        buffer_append_text(out, "%!(NOVERB)");
        return;
    }
    verb.letter = format.data[(*at)++];
    if (verb.letter == '%')
        buffer_append_byte(out, '%');
    else if (arguments->next >= arguments->count)
        buffer_printf(out, "%%!%c(MISSING)", verb.letter);
    else
        print_verb(out, &verb, &arguments->items[arguments->next++]);
}

bool template_printf(struct template_run *run, const struct template_value *values, size_t count,
                     struct template_value *result)
{
    struct slice format = values[0].text;
    struct arguments arguments = {values, count, 1};
    struct buffer out;
    buffer_init(&out, TEXT_MAX);
    for (size_t at = 0; at < format.size;) {
        if (format.data[at] == '%') {
            at++;
            format_verb(&out, format, &at, &arguments);
        } else {
            buffer_append_byte(&out, format.data[at++]);
        }
    }
    if (arguments.next < count) {
        buffer_append_text(&out, "%!(EXTRA ");
        for (size_t i = arguments.next; i < count; i++) {
            buffer_printf(&out, "%s%s=", i > arguments.next ? ", " : "", type_name(&values[i]));
            template_print(&out, &values[i], true);
        }
        buffer_append_byte(&out, ')');
    }
    *result = template_text(arena_copy(run->arena, buffer_slice(&out)));
    bool ok = !out.failed;
    buffer_done(&out);
    return ok || template_fail(run, "a text is too long");
}
