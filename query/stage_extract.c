/* stage_extract.c - | regexp "(?P<name>...)" and | pattern "<name> ...". */
#include "base/arena.h"
#include "base/error.h"
#include "base/regex.h"
#include "query/line_pattern.h"
#include "query/pipeline_stage.h"

static void store(struct pipeline_run *run, struct slice name, struct slice value)
{
    name = log_labels_parsed_name(&run->labels, name, run->scratch);
    if (run_wants(run, name))
        run_extract(run, name, value);
}

static int extract_groups(const struct stage *stage, struct pipeline_run *run)
{
    const struct regex *regex = stage->state;
    struct regex_span spans[REGEX_GROUPS_MAX + 1];
    int hit = regex_find(regex, run->line, 0, spans, COUNT_OF(spans), run->err);
    if (hit <= 0)
        return hit < 0 ? -1 : 1; /* without a match the line passes as it is */
    for (size_t i = 1; i <= regex_group_count(regex); i++) {
        struct slice name = regex_group_name(regex, i);
        if (name.size == 0)
            continue;
        struct slice value = {NULL, 0};
        if (spans[i].start != SIZE_MAX)
            value = slice_sub(run->line, spans[i].start, spans[i].end - spans[i].start);
        store(run, name, value);
    }
    return 1;
}

bool stage_regexp(struct log_program *p, const struct log_stage *spec, struct error *err)
{
    const struct regex *regex = log_program_regex(p, spec->text, 0, err);
    if (regex == NULL)
        return error_prefix(err, "error parsing regexp");
    size_t named = 0;
    for (size_t i = 1; i <= regex_group_count(regex); i++) {
        struct slice name = regex_group_name(regex, i);
        if (name.size == 0)
            continue;
        for (size_t k = 1; k < i; k++) {
            if (slice_equal(regex_group_name(regex, k), name))
                return error_set(err, ERR_INVALID, "duplicate extracted label name '%.*s'",
                                 SLICE_ARG(slice_sub(name, 0, 100)));
        }
        named++;
    }
    if (named == 0)
        return error_set(err, ERR_INVALID, "at least one named capture must be supplied");
    log_program_add(p, extract_groups, regex);
    return true;
}

/*
 * Captures in turn, up to where the next literal stands.  When a literal is
 * missing, the capture before it takes the rest of the line and it ends there.
 */
static int extract_pattern(const struct stage *stage, struct pipeline_run *run)
{
    const struct line_pattern *pattern = stage->state;
    struct slice line = run->line;
    if (line.size == 0 || run_wants_nothing(run))
        return 1;
    size_t at = 0, i = 0;
    if (!pattern->parts[0].capture) {
        if (!slice_starts_with(line, pattern->parts[0].text))
            return 1;
        at = pattern->parts[0].text.size;
        i = 1;
    }
    while (i < pattern->count) {
        const struct pattern_part *capture = &pattern->parts[i];
        const struct pattern_part *literal = i + 1 < pattern->count ? &pattern->parts[i + 1] : NULL;
        size_t hit = literal ? slice_find(line, literal->text, at) : SLICE_NOT_FOUND;
        size_t end = hit == SLICE_NOT_FOUND ? line.size : hit;
        if (end == at && hit == SLICE_NOT_FOUND)
            return 1;
        if (capture->text.size > 0)
            store(run, capture->text, slice_sub(line, at, end - at));
        if (hit == SLICE_NOT_FOUND)
            return 1;
        at = hit + literal->text.size;
        i += 2;
    }
    return 1;
}

bool stage_pattern(struct log_program *p, const struct log_stage *spec, struct error *err)
{
    const struct line_pattern *pattern = line_pattern_new(p->arena, spec->text, true, err);
    if (pattern == NULL)
        return false;
    log_program_add(p, extract_pattern, pattern);
    return true;
}
