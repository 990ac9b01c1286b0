// re2_shim.cc - Debian's libre2 behind four C functions, for tests only.
#include <re2/re2.h>

#include <cstddef>
#include <cstdint>
#include <vector>

extern "C" {

// A compiled pattern, or NULL when RE2 does not accept it.
void *re2_new(const char *pattern, size_t size, int dot_newline, int ignore_case)
{
    RE2::Options options;
    options.set_log_errors(false);
    options.set_dot_nl(dot_newline);
    options.set_case_sensitive(!ignore_case);
    options.set_max_mem(int64_t(256) << 20);
    RE2 *re = new RE2(re2::StringPiece(pattern, size), options);
    if (re->ok())
        return re;
    delete re;
    return nullptr;
}

void re2_free(void *re)
{
    delete static_cast<RE2 *>(re);
}

int re2_group_count(void *re)
{
    return static_cast<RE2 *>(re)->NumberOfCapturingGroups();
}

// Spans are pairs of start and end; SIZE_MAX where a group has no part in the match.
int re2_find(void *re, const char *text, size_t size, size_t from, int anchored, size_t *spans,
             int span_count)
{
    std::vector<re2::StringPiece> groups(span_count);
    if (!static_cast<RE2 *>(re)->Match(re2::StringPiece(text, size), from, size,
                                       anchored ? RE2::ANCHOR_BOTH : RE2::UNANCHORED,
                                       groups.data(), span_count))
        return 0;
    for (int i = 0; i < span_count; i++) {
        bool set = groups[i].data() != nullptr;
        spans[2 * i] = set ? size_t(groups[i].data() - text) : SIZE_MAX;
        spans[2 * i + 1] = set ? spans[2 * i] + groups[i].size() : SIZE_MAX;
    }
    return 1;
}
}
