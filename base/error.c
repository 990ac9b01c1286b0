/* error.c - filling and prefixing errors (see error.h). */
#include "base/error.h"

#include <stdarg.h>

static const char *const names[] = {
#define ERROR_NAME(code, name) name,
    ERROR_CODES(ERROR_NAME)
#undef ERROR_NAME
};

const char *error_name(enum error_code code)
{
    if ((size_t)code >= COUNT_OF(names))
        return "unknown";
    return names[code];
}

static void PRINTF_LIKE(4, 0) fill(struct error *err, enum error_code code, size_t position,
                                   const char *format, va_list arguments)
{
    if (err == NULL)
        return;
    err->code = code;
    err->position = position > INT32_MAX ? 0 : (int32_t)position;
    vsnprintf(err->message, sizeof(err->message), format, arguments);
}

bool error_set(struct error *err, enum error_code code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fill(err, code, 0, format, arguments);
    va_end(arguments);
    return false;
}

void *error_null(struct error *err, enum error_code code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fill(err, code, 0, format, arguments);
    va_end(arguments);
    return NULL;
}

bool error_set_at(struct error *err, enum error_code code, size_t offset, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fill(err, code, offset + 1, format, arguments);
    va_end(arguments);
    return false;
}

bool error_prefix(struct error *err, const char *format, ...)
{
    if (err == NULL)
        return false;
    char old[ERROR_MESSAGE_MAX];
    memcpy(old, err->message, sizeof(old));

    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(err->message, sizeof(err->message), format, arguments);
    va_end(arguments);
    if (size < 0 || (size_t)size >= sizeof(err->message) - 3)
        return false; /* no room for more */
    size_t used = (size_t)size;
    memcpy(err->message + used, ": ", 2);
    used += 2;
    size_t rest = strlen(old);
    if (rest > sizeof(err->message) - used - 1)
        rest = sizeof(err->message) - used - 1;
    memcpy(err->message + used, old, rest);
    err->message[used + rest] = '\0';
    return false;
}

void error_clear(struct error *err)
{
    if (err == NULL)
        return;
    err->code = ERR_NONE;
    err->position = 0;
    err->message[0] = '\0';
}
