/*
 * regex_pcre.c - compiling and running patterns with PCRE2 and its JIT.
 *
 * PCRE2 backtracks.  Its match limit is set so low that a pattern which needs
 * much backtracking is given up after some tens of microseconds; the caller
 * has a linear matcher for it.  The JIT runs on the machine's stack (32 KiB)
 * and gives up as well when that is not enough.
 *
 * Match data is needed per running match.  A compiled pattern keeps a few in
 * atomic slots: a thread takes one out, or makes one, and puts it back.
 */
#include "base/regex_pcre.h"

#include "base/memory.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdatomic.h>

enum {
    SLOT_COUNT = 8,
    MATCH_LIMIT = 20000,
    DEPTH_LIMIT = 2000,
    HEAP_LIMIT_KIB = 1024, /* without JIT */
};

struct regex_pcre {
    pcre2_code *code;
    pcre2_match_context *context;
    bool jit;
    _Atomic(pcre2_match_data *) spare[SLOT_COUNT];
};

struct regex_pcre *regex_pcre_new(struct slice pattern)
{
    pcre2_compile_context *compile = pcre2_compile_context_create(NULL);
    if (compile == NULL)
        return NULL;
    pcre2_set_newline(compile, PCRE2_NEWLINE_LF);
    uint32_t options = PCRE2_UTF | PCRE2_DOTALL | PCRE2_MULTILINE | PCRE2_ALT_CIRCUMFLEX |
                       PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY;
    int code = 0;
    size_t offset = 0;
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)(pattern.data ? pattern.data : ""),
                                         pattern.size, options, &code, &offset, compile);
    pcre2_compile_context_free(compile);
    if (compiled == NULL)
        return NULL;
    struct regex_pcre *pcre = xcalloc(1, sizeof(*pcre));
    pcre->code = compiled;
    pcre->jit = pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE) == 0;
    pcre->context = pcre2_match_context_create(NULL);
    if (pcre->context == NULL) {
        regex_pcre_free(pcre);
        return NULL;
    }
    pcre2_set_match_limit(pcre->context, MATCH_LIMIT);
    pcre2_set_depth_limit(pcre->context, DEPTH_LIMIT);
    pcre2_set_heap_limit(pcre->context, HEAP_LIMIT_KIB);
    return pcre;
}

void regex_pcre_free(struct regex_pcre *pcre)
{
    if (pcre == NULL)
        return;
    for (size_t i = 0; i < SLOT_COUNT; i++)
        pcre2_match_data_free(atomic_load(&pcre->spare[i]));
    pcre2_match_context_free(pcre->context);
    pcre2_code_free(pcre->code);
    free(pcre);
}

static pcre2_match_data *match_data_take(struct regex_pcre *pcre)
{
    for (size_t i = 0; i < SLOT_COUNT; i++) {
        if (atomic_load_explicit(&pcre->spare[i], memory_order_relaxed) == NULL)
            continue;
        pcre2_match_data *data =
            atomic_exchange_explicit(&pcre->spare[i], NULL, memory_order_acquire);
        if (data)
            return data;
    }
    return pcre2_match_data_create_from_pattern(pcre->code, NULL);
}

static void match_data_give(struct regex_pcre *pcre, pcre2_match_data *data)
{
    for (size_t i = 0; i < SLOT_COUNT; i++) {
        pcre2_match_data *empty = NULL;
        if (atomic_compare_exchange_strong_explicit(&pcre->spare[i], &empty, data,
                                                    memory_order_release, memory_order_relaxed))
            return;
    }
    pcre2_match_data_free(data);
}

static void spans_copy(pcre2_match_data *data, int pairs, struct regex_span *spans, size_t span_max)
{
    const size_t *offsets = pcre2_get_ovector_pointer(data);
    for (size_t i = 0; i < span_max; i++) {
        bool set = i < (size_t)pairs && offsets[2 * i] != PCRE2_UNSET;
        spans[i] = set ? (struct regex_span){offsets[2 * i], offsets[2 * i + 1]}
                       : (struct regex_span){SIZE_MAX, SIZE_MAX};
    }
}

int regex_pcre_find(const struct regex_pcre *pcre, struct slice text, size_t from,
                    struct regex_span *spans, size_t span_max)
{
    /* Only the spare slots change, and those are atomic. */
    struct regex_pcre *own = (struct regex_pcre *)(uintptr_t)pcre;
    pcre2_match_data *data = match_data_take(own);
    if (data == NULL)
        return -1;
    PCRE2_SPTR subject = (PCRE2_SPTR)(text.data ? text.data : "");
    int pairs;
    if (pcre->jit)
        pairs = pcre2_jit_match(pcre->code, subject, text.size, from, 0, data, pcre->context);
    else
        pairs = pcre2_match(pcre->code, subject, text.size, from, PCRE2_NO_UTF_CHECK, data,
                            pcre->context);
    if (pairs > 0)
        spans_copy(data, pairs, spans, span_max);
    match_data_give(own, data);
    if (pairs > 0)
        return 1;
    return pairs == PCRE2_ERROR_NOMATCH ? 0 : -1;
}
