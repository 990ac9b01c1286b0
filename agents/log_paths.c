/* log_paths.c - walking directories along a pattern (see log_paths.h). */
#include "agents/log_paths.h"

#include "base/error.h"
#include "base/files.h"
#include "base/slice.h"

#include <fnmatch.h>
#include <sys/stat.h>

enum { PATH_SIZE_MAX = 4096, PART_SIZE_MAX = 256 };

struct walk {
    log_path_found *found;
    void *context;
    char path[PATH_SIZE_MAX];
};

static bool walk_on(struct walk *w, size_t size, struct slice pattern, int depth);

/* Append "/name"; the new size, or 0 when it does not fit. */
static size_t append_name(struct walk *w, size_t size, struct slice name)
{
    if (size + 1 + name.size >= sizeof(w->path))
        return 0;
    w->path[size] = '/';
    memcpy(w->path + size + 1, name.data, name.size);
    w->path[size + 1 + name.size] = '\0';
    return size + 1 + name.size;
}

/* What lies at `w->path`: hand a file on when the pattern ends here, else go on inside. */
static bool visit(struct walk *w, size_t size, struct slice rest, int depth)
{
    struct stat info;
    if (size == 0)
        return true;
    if (rest.data != NULL)
        return walk_on(w, size, rest, depth + 1);
    if (stat(w->path, &info) != 0 || !S_ISREG(info.st_mode))
        return true;
    return w->found(w->context, w->path, &info);
}

static bool is_plain_directory(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* Every name of the directory at `w->path` that matches `part`, or below it when `deep`. */
static bool walk_names(struct walk *w, size_t size, const char *part, struct slice rest,
                       struct slice all, int depth)
{
    struct error err;
    char **names;
    size_t count;
    bool on = true, deep = part == NULL;

    w->path[size] = '\0';
    if (!directory_list(size == 0 ? "/" : w->path, &names, &count, &err))
        return true; /* unreadable or no directory: nothing there */
    for (size_t i = 0; i < count && on; i++) {
        if (!deep && fnmatch(part, names[i], FNM_PERIOD) != 0)
            continue;
        if (deep && names[i][0] == '.')
            continue;
        size_t longer = append_name(w, size, slice_from_text(names[i]));
        if (!deep)
            on = visit(w, longer, rest, depth);
        else if (longer > 0 && is_plain_directory(w->path))
            on = walk_on(w, longer, all, depth + 1);
    }
    names_free(names, count);
    return on;
}

/* `pattern` is what is left behind the directory at `w->path`, which has `size` bytes. */
static bool walk_on(struct walk *w, size_t size, struct slice pattern, int depth)
{
    struct slice rest = pattern, part;
    char text[PART_SIZE_MAX];

    if (depth > LOG_PATHS_DEPTH_MAX || !slice_split(&rest, '/', &part))
        return true;
    if (part.size >= sizeof(text))
        return true;
    if (part.size == 0)
        return walk_on(w, size, rest, depth + 1); /* two slashes */
    if (slice_equal(part, SLICE("**")))
        return walk_on(w, size, rest, depth + 1) && walk_names(w, size, NULL, rest, pattern, depth);
    snprintf(text, sizeof(text), "%.*s", SLICE_ARG(part));
    if (strpbrk(text, "*?[\\") != NULL)
        return walk_names(w, size, text, rest, pattern, depth);
    return visit(w, append_name(w, size, part), rest, depth);
}

bool log_paths_find(const char *pattern, log_path_found *found, void *context)
{
    struct walk w = {.found = found, .context = context};
    struct slice text = slice_from_text(pattern);
    if (text.size > 0 && text.data[0] == '/')
        text = slice_skip(text, 1);
    return walk_on(&w, 0, text, 0);
}
