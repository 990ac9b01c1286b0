/*
 * collect_meminfo.c - /proc/meminfo: every field that the kernel lists.
 *
 *     MemTotal:       24668868 kB   -> node_memory_MemTotal_bytes
 *     Active(anon):      12345 kB   -> node_memory_Active_anon_bytes
 *     HugePages_Total:       0      -> node_memory_HugePages_Total
 */
#include "agents/collectors.h"

#include "base/error.h"

enum { NAME_MAX_SIZE = 128 };

/* Parentheses become an underscore before them and nothing behind; other signs underscores. */
static void make_name(char *name, struct slice field, bool bytes)
{
    size_t n = 0;
    char clean[64];
    for (size_t i = 0; i < field.size && n < sizeof(clean) - 1; i++) {
        char c = field.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (letter || c == '_')
            clean[n++] = c;
        else if (c != ')')
            clean[n++] = '_';
    }
    clean[n] = '\0';
    snprintf(name, NAME_MAX_SIZE, "node_memory_%s%s", clean, bytes ? "_bytes" : "");
}

bool parse_meminfo(struct scrape *s, struct slice text, struct error *err)
{
    struct slice line, field, unit;
    size_t found = 0;

    while (slice_split(&text, '\n', &line)) {
        double value;
        char name[NAME_MAX_SIZE];
        if (line.size == 0)
            continue;
        if (!slice_split(&line, ':', &field) || !next_number(&line, &value))
            return error_set(err, ERR_INVALID, "meminfo: malformed line");
        bool bytes = next_word(&line, &unit) && slice_equal(unit, SLICE("kB"));
        make_name(name, field, bytes);
        scrape_single(s, name, "gauge", "A field of /proc/meminfo.", bytes ? value * 1024 : value);
        found++;
    }
    return found > 0 || error_set(err, ERR_INVALID, "meminfo: nothing in it");
}

bool collect_meminfo(struct scrape *s, struct error *err)
{
    struct slice text;
    return scrape_load(s, s->procfs, "meminfo", &text, err) && parse_meminfo(s, text, err);
}
