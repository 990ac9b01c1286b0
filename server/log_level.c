/*
 * log_level.c - see log_level.h.
 *
 * This runs for every line that is pushed, so it makes one pass over the line,
 * allocates nothing and gives up at the first thing that is malformed.
 */
#include "server/log_level.h"

#include "base/compiler.h"

#include <stdbool.h>

enum { JSON_DEPTH_MAX = 2, WORD_SIZE_MAX = 8 };

static const struct slice level_fields[] = {
    {"level", 5},
    {"LEVEL", 5},
    {"Level", 5},
    {"log.level", 9},
    {"severity", 8},
    {"SEVERITY", 8},
    {"Severity", 8},
    {"SeverityText", 12},
    {"lvl", 3},
    {"LVL", 3},
    {"Lvl", 3},
    {"severity_text", 13},
    {"Severity_Text", 13},
    {"SEVERITY_TEXT", 13},
};

static const struct slice service_labels[] = {
    {"service", 7},
    {"app", 3},
    {"application", 11},
    {"app_name", 8},
    {"name", 4},
    {"app_kubernetes_io_name", 22},
    {"container", 9},
    {"container_name", 14},
    {"k8s_container_name", 18},
    {"component", 9},
    {"workload", 8},
    {"job", 3},
    {"k8s_job_name", 12},
};

/* Every spelling of a level; the words of plain text are those with `word`. */
static const struct spelling {
    struct slice text, level;
    bool word;
} spellings[] = {
    {{"trace", 5}, {"trace", 5}, true},        {{"trc", 3}, {"trace", 5}, false},
    {{"debug", 5}, {"debug", 5}, true},        {{"dbg", 3}, {"debug", 5}, false},
    {{"info", 4}, {"info", 4}, true},          {{"inf", 3}, {"info", 4}, false},
    {{"information", 11}, {"info", 4}, false}, {{"warn", 4}, {"warn", 4}, true},
    {{"wrn", 3}, {"warn", 4}, false},          {{"warning", 7}, {"warn", 4}, true},
    {{"error", 5}, {"error", 5}, true},        {{"err", 3}, {"error", 5}, true},
    {{"critical", 8}, {"critical", 8}, true},  {{"fatal", 5}, {"fatal", 5}, true},
};

static const struct spelling *find_spelling(struct slice text)
{
    for (size_t i = 0; i < COUNT_OF(spellings); i++)
        if (slice_equal_ignore_case(text, spellings[i].text))
            return &spellings[i];
    return NULL;
}

struct slice log_level_normal(struct slice level)
{
    const struct spelling *known = find_spelling(level);
    return known ? known->level : level;
}

static struct slice first_of(const struct slice *names, size_t name_count,
                             const struct label *labels, size_t count)
{
    for (size_t i = 0; i < name_count; i++)
        for (size_t j = 0; j < count; j++)
            if (labels[j].value.size > 0 && slice_equal(labels[j].name, names[i]))
                return labels[j].value;
    return (struct slice){NULL, 0};
}

struct slice log_level_of_labels(const struct label *labels, size_t count)
{
    struct slice found = first_of(level_fields, COUNT_OF(level_fields), labels, count);
    return found.data ? log_level_normal(found) : found;
}

struct slice service_name_of(const struct label *labels, size_t count)
{
    struct slice found = first_of(service_labels, COUNT_OF(service_labels), labels, count);
    return found.data ? found : SLICE("unknown_service");
}

/* ---- JSON ------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The end of the string whose opening quote is at `at`: its closing quote, or the line's size. */
static size_t string_end(struct slice line, size_t at)
{
    for (at++; at < line.size && line.data[at] != '"'; at++)
        if (line.data[at] == '\\')
            at++;
    return at < line.size ? at : line.size;
}

/* Behind the object or array that begins at `at`. */
static size_t skip_nested(struct slice line, size_t at)
{
    size_t depth = 0;
    for (; at < line.size; at++) {
        char c = line.data[at];
        if (c == '"')
            at = string_end(line, at);
        else if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && --depth == 0)
            return at + 1;
    }
    return line.size;
}

static size_t skip_any(struct slice line, size_t at, bool commas)
{
    while (at < line.size && (is_blank(line.data[at]) || (commas && line.data[at] == ',')))
        at++;
    return at;
}

static bool is_level_field(struct slice key)
{
    for (size_t i = 0; i < COUNT_OF(level_fields); i++)
        if (slice_equal(key, level_fields[i]))
            return true;
    return false;
}

/* The first string under one of the level fields, in the object or one right inside it. */
static struct slice level_in_json(struct slice line)
{
    const struct slice none = {NULL, 0};
    int depth = 1;
    size_t at = slice_find_byte(line, '{', 0) + 1;
    for (;;) {
        at = skip_any(line, at, true);
        if (at < line.size && line.data[at] == '}') {
            if (--depth == 0)
                return none;
            at++;
            continue;
        }
        if (at >= line.size || line.data[at] != '"')
            return none;
        size_t end = string_end(line, at);
        struct slice key = slice_sub(line, at + 1, end - at - 1);
        at = skip_any(line, end + 1, false);
        if (at >= line.size || line.data[at] != ':')
            return none;
        at = skip_any(line, at + 1, false);
        if (at >= line.size)
            return none;
        char c = line.data[at];
        if (c == '"') {
            end = string_end(line, at);
            if (is_level_field(key))
                return slice_sub(line, at + 1, end - at - 1);
            at = end + 1;
        } else if (c == '{' && depth < JSON_DEPTH_MAX) {
            depth++;
            at++;
        } else if (c == '{' || c == '[') {
            at = skip_nested(line, at);
        } else {
            while (at < line.size && line.data[at] != ',' && line.data[at] != '}')
                at++;
        }
    }
}

/* ---- logfmt ----------------------------------------------------------- */

static struct slice value_at(struct slice line, size_t *at)
{
    size_t from = *at;
    if (from < line.size && line.data[from] == '"') {
        size_t end = string_end(line, from);
        *at = end < line.size ? end + 1 : end;
        return slice_sub(line, from + 1, end - from - 1);
    }
    while (*at < line.size && !is_blank(line.data[*at]))
        ++*at;
    return slice_sub(line, from, *at - from);
}

static struct slice level_in_logfmt(struct slice line)
{
    struct slice found = {NULL, 0};
    size_t rank = COUNT_OF(level_fields);
    for (size_t at = 0; at < line.size;) {
        at = skip_any(line, at, false);
        size_t from = at;
        while (at < line.size && line.data[at] != '=' && !is_blank(line.data[at]))
            at++;
        struct slice key = slice_sub(line, from, at - from);
        if (at >= line.size || line.data[at] != '=')
            continue;
        at++;
        struct slice value = value_at(line, &at);
        for (size_t i = 0; key.size >= 3 && key.size <= 13 && i < rank; i++) {
            if (!slice_equal_ignore_case(key, level_fields[i]))
                continue;
            found = value;
            rank = i;
        }
        if (rank == 0)
            break;
    }
    return found;
}

/* ---- words ------------------------------------------------------------ */

static bool is_letter(char c)
{
    return (unsigned char)((c | 0x20) - 'a') < 26;
}

static bool is_word_byte(char c)
{
    return is_letter(c) || (c >= '0' && c <= '9') || (unsigned char)c >= 0x80;
}

/* The first level that stands in the line as a word of its own. */
static struct slice level_in_words(struct slice line)
{
    for (size_t at = 0; at < line.size;) {
        if (!is_word_byte(line.data[at])) {
            at++;
            continue;
        }
        size_t from = at;
        while (at < line.size && is_word_byte(line.data[at]))
            at++;
        if (at - from < 3 || at - from > WORD_SIZE_MAX ||
            !memchr("tdiwecf", line.data[from] | 0x20, 7))
            continue;
        const struct spelling *found = find_spelling(slice_sub(line, from, at - from));
        if (found && found->word)
            return found->level;
    }
    return SLICE("unknown");
}

struct slice log_level_of_line(struct slice line)
{
    struct slice bare = slice_trim(line), value = {NULL, 0};
    if (bare.size >= 2 && bare.data[0] == '{' && bare.data[bare.size - 1] == '}')
        value = level_in_json(bare);
    else if (slice_find_byte(bare, '=', 0) != SLICE_NOT_FOUND)
        value = level_in_logfmt(bare);
    const struct spelling *known = value.size > 0 ? find_spelling(value) : NULL;
    return known ? known->level : level_in_words(line);
}

const struct slice *log_level_fields(size_t *count)
{
    *count = COUNT_OF(level_fields);
    return level_fields;
}

const struct slice *log_service_labels(size_t *count)
{
    *count = COUNT_OF(service_labels);
    return service_labels;
}
