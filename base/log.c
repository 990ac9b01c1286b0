/* log.c - building and writing logfmt lines (see log.h). */
#include "base/log.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/number.h"
#include "base/utf8.h"

#include <errno.h>
#include <unistd.h>

enum { VALUE_MAX = 2048 }; /* bytes of a value that are shown */

static atomic_int level_min = LEVEL_INFO;
static atomic_int output = STDERR_FILENO;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_set_level(enum log_level level)
{
    atomic_store(&level_min, (int)level);
}

void log_set_output(int fd)
{
    atomic_store(&output, fd);
}

bool log_level_parse(struct slice name, enum log_level *level)
{
    for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        if (slice_equal(name, slice_from_text(level_names[i]))) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

/* May this site write now?  `left_out` gets what it was denied since its last line. */
static bool site_allows(struct log_site *site, uint32_t *left_out)
{
    int64_t now = clock_monotonic_ns();
    int_fast64_t start = atomic_load(&site->window_start_ns);
    if ((start == 0 || now - start > LOG_SITE_WINDOW_S * NS_PER_SECOND) &&
        atomic_compare_exchange_strong(&site->window_start_ns, &start, now))
        atomic_store(&site->lines, 0);
    if (atomic_fetch_add(&site->lines, 1) >= LOG_SITE_LINES_MAX) {
        atomic_fetch_add(&site->left_out, 1);
        return false;
    }
    *left_out = (uint32_t)atomic_exchange(&site->left_out, 0);
    return true;
}

/* Bare when it is one plain word, quoted with escapes otherwise. */
static void append_value(struct buffer *line, struct slice value)
{
    bool cut = value.size > VALUE_MAX;
    value = slice_sub(value, 0, VALUE_MAX);
    bool plain = value.size > 0 && !cut && utf8_is_valid(value);
    for (size_t i = 0; plain && i < value.size; i++) {
        unsigned char c = (unsigned char)value.data[i];
        plain = c > ' ' && c != '=' && c != '"' && c != 0x7f;
    }
    if (plain)
        buffer_append_slice(line, value);
    else
        buffer_append_quoted(line, value);
    if (cut)
        buffer_append_text(line, "...");
}

static void append_field(struct buffer *line, const struct log_field *field)
{
    buffer_append_byte(line, ' ');
    buffer_append_text(line, field->key);
    buffer_append_byte(line, '=');
    switch (field->type) {
    case LOG_FIELD_SLICE:
        append_value(line, field->text);
        break;
    case LOG_FIELD_INT:
        buffer_append_i64(line, field->integer);
        break;
    case LOG_FIELD_DOUBLE:
        buffer_append_double(line, field->number, 'g');
        break;
    }
}

/* Milliseconds always have three digits, so that lines stand in columns. */
static void append_time(struct buffer *line)
{
    struct civil_time t = civil_from_ns(clock_now_ns(NULL));
    buffer_printf(line, "ts=%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (int)t.year, t.month, t.day,
                  t.hour, t.minute, t.second, t.nanosecond / 1000000);
}

void log_write(struct log_site *site, enum log_level level, const char *message,
               const struct log_field *fields, size_t count)
{
    uint32_t left_out;
    if ((int)level < atomic_load_explicit(&level_min, memory_order_relaxed) ||
        !site_allows(site, &left_out))
        return;

    struct buffer line;
    buffer_init(&line, LOG_LINE_MAX);
    append_time(&line);
    buffer_printf(&line, " level=%s msg=", level_names[level]);
    append_value(&line, slice_from_text(message));
    for (size_t i = 0; i < count; i++) {
        size_t before = line.size;
        append_field(&line, &fields[i]);
        if (line.failed || line.size > LOG_LINE_MAX - 64) {
            line.failed = false;
            buffer_truncate(&line, before);
            buffer_append_text(&line, " cut=true");
            break;
        }
    }
    if (left_out > 0)
        buffer_printf(&line, " left_out=%u", left_out);
    buffer_append_byte(&line, '\n');
    ssize_t written;
    do
        written = write(atomic_load(&output), line.data, line.size);
    while (written < 0 && errno == EINTR);
    buffer_done(&line);
}
