/*
 * config.c - see config.h.  The only file that knows libyaml.
 *
 * libyaml loads the whole document into a tree (the file is at most 1 MiB); we
 * walk its mappings, joining names with dots, until a value stands where the
 * table has a key.
 */
#include "net/config.h"

#include "base/buffer.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/files.h"
#include "base/json_writer.h"
#include "base/memory.h"
#include "base/number.h"

#include <assert.h>
#include <string.h>
#include <yaml.h>

enum { FILE_SIZE_MAX = 1 << 20, NAME_SIZE_MAX = 128, DEPTH_MAX = 8 };

/* ---- values ----------------------------------------------------------- */

bool config_parse_size(struct slice text, uint64_t *bytes)
{
    static const struct {
        const char *unit;
        uint64_t factor;
    } units[] = {{"", 1},
                 {"B", 1},
                 {"KiB", 1 << 10},
                 {"MiB", 1 << 20},
                 {"KB", 1000},
                 {"MB", 1000000},
                 {"GiB", 1 << 30},
                 {"GB", 1000000000},
                 {"TiB", (uint64_t)1 << 40},
                 {"TB", 1000000000000}};
    size_t digits = 0;
    while (digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9')
        digits++;
    uint64_t number;
    if (!slice_parse_u64(slice_sub(text, 0, digits), &number))
        return false;
    struct slice unit = slice_trim(slice_skip(text, digits));
    for (size_t i = 0; i < COUNT_OF(units); i++)
        if (slice_equal_ignore_case(unit, slice_from_text(units[i].unit)))
            return !__builtin_mul_overflow(number, units[i].factor, bytes);
    return false;
}

static void *target(const struct config_key *key, void *settings)
{
    return (char *)settings + key->offset;
}

static bool in_range(const struct config_key *key, int64_t value, struct slice text,
                     struct error *err)
{
    if (value >= key->min && (key->max == 0 || value <= key->max))
        return true;
    struct buffer shown;
    buffer_init(&shown, 256);
    if (key->type == CONFIG_DURATION) {
        buffer_append_duration_prometheus(&shown, key->min);
        buffer_append_text(&shown, " to ");
        if (key->max)
            buffer_append_duration_prometheus(&shown, key->max);
    } else {
        buffer_printf(&shown, "%lld to ", (long long)key->min);
        if (key->max)
            buffer_printf(&shown, "%lld", (long long)key->max);
    }
    error_set(err, ERR_INVALID, "%s: %.*s is out of the range %.*s", key->name,
              SLICE_ARG(slice_sub(text, 0, 60)), (int)shown.size, shown.data);
    buffer_done(&shown);
    return false;
}

static bool wrong_value(const struct config_key *key, struct slice text, const char *wanted,
                        struct error *err)
{
    return error_set(err, ERR_INVALID, "%s: \"%.*s\" is not %s", key->name,
                     SLICE_ARG(slice_sub(text, 0, 60)), wanted);
}

static bool set_choice(const struct config_key *key, struct slice text, int *value,
                       struct error *err)
{
    for (int i = 0; key->choices[i]; i++) {
        if (slice_equal(text, slice_from_text(key->choices[i]))) {
            *value = i;
            return true;
        }
    }
    struct buffer list;
    buffer_init(&list, 256);
    buffer_append_text(&list, "one of");
    for (int i = 0; key->choices[i]; i++)
        buffer_printf(&list, " %s", key->choices[i]);
    buffer_append_byte(&list, '\0');
    wrong_value(key, text, list.failed ? "a known word" : list.data, err);
    buffer_done(&list);
    return false;
}

static bool set_number(const struct config_key *key, struct slice text, void *value,
                       struct error *err)
{
    uint64_t number;
    bool ok = key->type == CONFIG_SIZE ? config_parse_size(text, &number)
                                       : slice_parse_u64(text, &number);
    if (!ok || number > INT64_MAX)
        return wrong_value(
            key, text, key->type == CONFIG_SIZE ? "a size such as 64MiB" : "a whole number", err);
    if (!in_range(key, (int64_t)number, text, err))
        return false;
    *(uint64_t *)value = number;
    return true;
}

bool config_set(const struct config_key *key, struct slice text, void *settings, struct error *err)
{
    void *value = target(key, settings);
    int64_t ns;
    switch (key->type) {
    case CONFIG_BOOL:
        if (!slice_equal(text, SLICE("true")) && !slice_equal(text, SLICE("false")))
            return wrong_value(key, text, "true or false", err);
        *(bool *)value = text.data[0] == 't';
        return true;
    case CONFIG_TEXT:
    case CONFIG_TREE:
        if (memchr(text.data ? text.data : "", '\0', text.size))
            return wrong_value(key, text, "text without NUL bytes", err);
        free(*(char **)value);
        *(char **)value = xmemdup(text.data ? text.data : "", text.size);
        return true;
    case CONFIG_SIZE:
    case CONFIG_COUNT:
        return set_number(key, text, value, err);
    case CONFIG_DURATION:
        if (!duration_parse_prometheus(text, &ns))
            return wrong_value(key, text, "a duration such as 15d or 1h30m", err);
        if (!in_range(key, ns, text, err))
            return false;
        *(int64_t *)value = ns;
        return true;
    case CONFIG_CHOICE:
        return set_choice(key, text, value, err);
    }
    return error_set(err, ERR_INTERNAL, "%s: unknown type", key->name);
}

void config_preset(const struct config_table *table, void *settings)
{
    for (size_t i = 0; i < table->count; i++) {
        struct error err = {0};
        const struct config_key *key = &table->keys[i];
        bool ok = !key->preset || config_set(key, slice_from_text(key->preset), settings, &err);
        assert(ok);
        (void)ok;
    }
}

void config_done(const struct config_table *table, void *settings)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->keys[i].type != CONFIG_TEXT && table->keys[i].type != CONFIG_TREE)
            continue;
        char **text = target(&table->keys[i], settings);
        free(*text);
        *text = NULL;
    }
}

/* ---- names ------------------------------------------------------------ */

const struct config_key *config_find(const struct config_table *table, struct slice name)
{
    for (size_t i = 0; i < table->count; i++)
        if (slice_equal(slice_from_text(table->keys[i].name), name))
            return &table->keys[i];
    return NULL;
}

/* Is `name` a mapping that holds keys of the table? */
static bool is_section(const struct config_table *table, struct slice name)
{
    for (size_t i = 0; i < table->count; i++) {
        struct slice key = slice_from_text(table->keys[i].name);
        if (key.size > name.size && key.data[name.size] == '.' && slice_starts_with(key, name))
            return true;
    }
    return false;
}

/* Levenshtein's distance, in one row. */
static size_t edit_distance(struct slice a, struct slice b)
{
    size_t row[NAME_SIZE_MAX + 1];
    if (a.size > NAME_SIZE_MAX || b.size > NAME_SIZE_MAX)
        return NAME_SIZE_MAX;
    for (size_t j = 0; j <= b.size; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.size; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            size_t best = diagonal + (a.data[i - 1] != b.data[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b.size];
}

const char *config_nearest(const struct config_table *table, struct slice name)
{
    const char *nearest = NULL;
    size_t least = name.size / 3 + 2;
    for (size_t i = 0; i < table->count; i++) {
        size_t distance = edit_distance(name, slice_from_text(table->keys[i].name));
        if (distance < least) {
            least = distance;
            nearest = table->keys[i].name;
        }
    }
    return nearest;
}

/* ---- YAML ------------------------------------------------------------- */

struct walk {
    const struct config_table *table;
    const char *file;
    yaml_document_t *document;
    void *settings;
    bool *seen; /* one per key: a repeated key is refused */
};

static bool fail_at(const struct walk *w, yaml_mark_t mark, struct error *err)
{
    return error_prefix(err, "%s:%zu:%zu", w->file, mark.line + 1, mark.column + 1);
}

static struct slice node_text(const yaml_node_t *node)
{
    return slice_of(node->data.scalar.value, node->data.scalar.length);
}

static bool unknown_key(const struct walk *w, const yaml_node_t *node, struct slice name,
                        struct error *err)
{
    const char *nearest = config_nearest(w->table, name);
    if (nearest)
        error_set(err, ERR_INVALID, "unknown key \"%.*s\", did you mean \"%s\"?", SLICE_ARG(name),
                  nearest);
    else
        error_set(err, ERR_INVALID, "unknown key \"%.*s\"", SLICE_ARG(name));
    return fail_at(w, node->start_mark, err);
}

/* A node with all below it as JSON. */
static bool write_tree(const struct walk *w, struct json_writer *out, int index, int depth)
{
    const yaml_node_t *node = yaml_document_get_node(w->document, index);
    if (depth > DEPTH_MAX)
        return false;
    if (node->type == YAML_SCALAR_NODE) {
        json_write_string(out, node_text(node));
        return true;
    }
    if (node->type == YAML_SEQUENCE_NODE) {
        json_write_array_begin(out);
        for (const yaml_node_item_t *item = node->data.sequence.items.start;
             item < node->data.sequence.items.top; item++)
            if (!write_tree(w, out, *item, depth + 1))
                return false;
        json_write_array_end(out);
        return true;
    }
    json_write_object_begin(out);
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *name = yaml_document_get_node(w->document, pair->key);
        if (name->type != YAML_SCALAR_NODE)
            return false;
        json_write_key(out, node_text(name));
        if (!write_tree(w, out, pair->value, depth + 1))
            return false;
    }
    json_write_object_end(out);
    return true;
}

static bool set_tree(const struct walk *w, const struct config_key *key, int index,
                     struct error *err)
{
    struct buffer text;
    struct json_writer out;
    bool *seen = &w->seen[key - w->table->keys];
    const yaml_node_t *node = yaml_document_get_node(w->document, index);
    buffer_init(&text, FILE_SIZE_MAX);
    json_writer_init(&out, &text);
    bool ok = !*seen || error_set(err, ERR_INVALID, "%s: given twice", key->name);
    bool empty = node->type == YAML_SCALAR_NODE && node->data.scalar.length == 0;
    ok = ok && (empty || write_tree(w, &out, index, 0) ||
                error_set(err, ERR_INVALID, "%s: is nested too deeply", key->name));
    ok = ok && buffer_check(&text, key->name, err) &&
         config_set(key, buffer_slice(&text), w->settings, err);
    buffer_done(&text);
    *seen = true;
    return ok || fail_at(w, node->start_mark, err);
}

static bool set_scalar(const struct walk *w, const struct config_key *key, const yaml_node_t *node,
                       struct error *err)
{
    bool *seen = &w->seen[key - w->table->keys];
    if (node->type != YAML_SCALAR_NODE)
        error_set(err, ERR_INVALID, "%s: a single value is expected", key->name);
    else if (*seen)
        error_set(err, ERR_INVALID, "%s: given twice", key->name);
    else if (config_set(key, node_text(node), w->settings, err))
        return *seen = true;
    return fail_at(w, node->start_mark, err);
}

static bool read_mapping(const struct walk *w, const yaml_node_t *node, struct slice prefix,
                         int depth, struct error *err)
{
    if (node->type != YAML_MAPPING_NODE) {
        error_set(err, ERR_INVALID, "%.*s%snames with values are expected", SLICE_ARG(prefix),
                  prefix.size ? ": " : "");
        return fail_at(w, node->start_mark, err);
    }
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *name_node = yaml_document_get_node(w->document, pair->key);
        const yaml_node_t *value = yaml_document_get_node(w->document, pair->value);
        char name_bytes[NAME_SIZE_MAX];
        if (name_node->type != YAML_SCALAR_NODE) {
            error_set(err, ERR_INVALID, "a key must be plain text");
            return fail_at(w, name_node->start_mark, err);
        }
        struct slice part = node_text(name_node);
        if (prefix.size + 1 + part.size > sizeof(name_bytes) || depth >= DEPTH_MAX)
            return unknown_key(w, name_node, slice_sub(part, 0, 60), err);
        struct slice name = part;
        if (prefix.size > 0) {
            memcpy(name_bytes, prefix.data, prefix.size);
            name_bytes[prefix.size] = '.';
            memcpy(name_bytes + prefix.size + 1, part.data, part.size);
            name = slice_of(name_bytes, prefix.size + 1 + part.size);
        }
        const struct config_key *key = config_find(w->table, name);
        if (key && key->type == CONFIG_TREE) {
            if (!set_tree(w, key, pair->value, err))
                return false;
        } else if (key) {
            if (!set_scalar(w, key, value, err))
                return false;
        } else if (is_section(w->table, name)) {
            if (!read_mapping(w, value, name, depth + 1, err))
                return false;
        } else {
            return unknown_key(w, name_node, name, err);
        }
    }
    return true;
}

static bool read_document(const struct config_table *table, const char *file,
                          yaml_document_t *document, void *settings, struct error *err)
{
    yaml_node_t *root = yaml_document_get_root_node(document);
    bool empty = !root || (root->type == YAML_SCALAR_NODE && root->data.scalar.length == 0);
    if (empty)
        return true;
    AUTO(memory_drop) bool *seen = xcalloc(table->count, sizeof(*seen));
    struct walk w = {table, file, document, settings, seen};
    return read_mapping(&w, root, SLICE(""), 0, err);
}

bool config_parse(const struct config_table *table, struct slice text, const char *name,
                  void *settings, struct error *err)
{
    yaml_parser_t parser;
    yaml_document_t document;
    if (!yaml_parser_initialize(&parser))
        return error_set(err, ERR_INTERNAL, "%s: no memory", name);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.data, text.size);
    bool ok = false;
    if (!yaml_parser_load(&parser, &document)) {
        error_set(err, ERR_INVALID, "%s:%zu:%zu: %s", name, parser.problem_mark.line + 1,
                  parser.problem_mark.column + 1,
                  parser.problem ? parser.problem : "not valid YAML");
    } else {
        ok = read_document(table, name, &document, settings, err);
        yaml_document_delete(&document);
    }
    yaml_parser_delete(&parser);
    return ok;
}

bool config_load(const struct config_table *table, const char *path, void *settings,
                 struct error *err)
{
    AUTO(buffer_done) struct buffer text;
    buffer_init(&text, FILE_SIZE_MAX);
    if (!file_load(path, &text, err))
        return error_prefix(err, "configuration");
    return config_parse(table, buffer_slice(&text), path, settings, err);
}
