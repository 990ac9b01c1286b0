/* media_type.c - which type and encoding headers a push may have (see media_type.h). */
#include "wire/media_type.h"

#include "base/error.h"

enum { SHOWN = 100 }; /* bytes of a header that an error message repeats */

static bool is_token_byte(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_token(struct slice s)
{
    for (size_t i = 0; i < s.size; i++) {
        if (!is_token_byte(s.data[i]))
            return false;
    }
    return s.size > 0;
}

/* The end of a parameter: the next ';' that is not inside quotes. */
static size_t parameter_end(struct slice s)
{
    bool quoted = false;
    for (size_t i = 0; i < s.size; i++) {
        char c = s.data[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (c == ';' && !quoted)
            return i;
    }
    return s.size;
}

static bool parse_parameter(struct slice text, struct slice *name, struct slice *value)
{
    size_t equals = slice_find_byte(text, '=', 0);
    if (equals == SLICE_NOT_FOUND)
        return false;
    *name = slice_trim(slice_sub(text, 0, equals));
    *value = slice_trim(slice_skip(text, equals + 1));
    if (value->size >= 2 && value->data[0] == '"') {
        if (value->data[value->size - 1] != '"')
            return false;
        *value = slice_sub(*value, 1, value->size - 2);
        return is_token(*name);
    }
    return is_token(*name) && is_token(*value);
}

bool media_type_parse(struct slice text, struct slice *type, struct slice name, struct slice *value)
{
    size_t end = parameter_end(text);
    struct slice whole = slice_trim(slice_sub(text, 0, end));
    struct slice found = {NULL, 0};
    size_t slash = slice_find_byte(whole, '/', 0);

    if (slash == SLICE_NOT_FOUND
            ? !is_token(whole)
            : !is_token(slice_sub(whole, 0, slash)) || !is_token(slice_skip(whole, slash + 1)))
        return false;
    while (end < text.size) {
        text = slice_skip(text, end + 1);
        end = parameter_end(text);
        struct slice parameter = slice_trim(slice_sub(text, 0, end)), key, content;
        if (parameter.size == 0)
            continue; /* a ';' at the end */
        if (!parse_parameter(parameter, &key, &content))
            return false;
        if (slice_equal_ignore_case(key, name))
            found = content;
    }
    *type = whole;
    *value = found;
    return true;
}

bool media_type_remote_write(struct slice content_type, struct slice content_encoding,
                             struct body_coding *coding, struct error *err)
{
    struct slice type = SLICE("application/x-protobuf"), message = {NULL, 0};
    struct slice encoding = slice_trim(content_encoding);

    if (content_type.size > 0 && !media_type_parse(content_type, &type, SLICE("proto"), &message))
        return error_set(err, ERR_UNSUPPORTED, "malformed content type \"%.*s\"",
                         SLICE_ARG(slice_sub(content_type, 0, SHOWN)));
    if (!slice_equal_ignore_case(type, SLICE("application/x-protobuf")))
        return error_set(err, ERR_UNSUPPORTED,
                         "content type \"%.*s\" is not supported, remote-write is "
                         "application/x-protobuf",
                         SLICE_ARG(slice_sub(type, 0, SHOWN)));
    if (message.data && !slice_equal(message, SLICE("prometheus.WriteRequest")))
        return error_set(err, ERR_UNSUPPORTED,
                         "protobuf message \"%.*s\" is not supported, only "
                         "prometheus.WriteRequest (remote-write 1.0) is",
                         SLICE_ARG(slice_sub(message, 0, SHOWN)));
    if (encoding.size > 0 && !slice_equal_ignore_case(encoding, SLICE("snappy")))
        return error_set(err, ERR_UNSUPPORTED,
                         "content encoding \"%.*s\" is not supported, remote-write is snappy",
                         SLICE_ARG(slice_sub(encoding, 0, SHOWN)));
    *coding = (struct body_coding){BODY_IDENTITY, BODY_SNAPPY};
    return true;
}

bool media_type_loki_push(struct slice content_type, struct slice content_encoding,
                          enum loki_push_format *format, struct body_coding *coding,
                          struct error *err)
{
    struct slice type, charset, encoding = slice_trim(content_encoding);
    enum body_encoding outer = BODY_IDENTITY;

    if (content_type.size == 0)
        return error_set(err, ERR_INVALID, "mime: no media type");
    if (!media_type_parse(content_type, &type, SLICE("charset"), &charset))
        return error_set(err, ERR_INVALID, "mime: malformed media type \"%.*s\"",
                         SLICE_ARG(slice_sub(content_type, 0, SHOWN)));
    if (slice_equal(encoding, SLICE("gzip")))
        outer = BODY_GZIP;
    else if (slice_equal(encoding, SLICE("deflate")))
        outer = BODY_DEFLATE;
    else if (slice_equal(encoding, SLICE("zstd")))
        outer = BODY_ZSTD;
    else if (encoding.size > 0 && !slice_equal(encoding, SLICE("snappy")))
        return error_set(err, ERR_INVALID, "Content-Encoding \"%.*s\" not supported",
                         SLICE_ARG(slice_sub(encoding, 0, SHOWN)));

    bool json = slice_equal_ignore_case(type, SLICE("application/json"));
    *format = json ? LOKI_PUSH_JSON : LOKI_PUSH_PROTOBUF;
    *coding = (struct body_coding){outer, json ? BODY_IDENTITY : BODY_SNAPPY};
    return true;
}
