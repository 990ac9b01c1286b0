/*
 * replay_main.c - runs a fuzz target over the files of its corpus.
 *
 * Every argument is a file or a folder of files.  This keeps the corpora
 * working as ordinary tests under every compiler and sanitizer.
 */
#include "base/buffer.h"
#include "base/error.h"
#include "base/files.h"

#include <stdint.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_SIZE_MAX = 16 * 1024 * 1024 };

static bool run_file(const char *path)
{
    struct error err = {0};
    AUTO(buffer_done) struct buffer input;
    buffer_init(&input, INPUT_SIZE_MAX);
    if (!file_load(path, &input, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return false;
    }
    LLVMFuzzerTestOneInput((const uint8_t *)(input.data ? input.data : ""), input.size);
    return true;
}

static int run_folder(const char *path)
{
    struct error err = {0};
    char **names;
    size_t count;
    if (!directory_list(path, &names, &count, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return -1;
    }
    int run = 0;
    for (size_t i = 0; i < count; i++) {
        char file[4096];
        snprintf(file, sizeof(file), "%s/%s", path, names[i]);
        if (run_file(file))
            run++;
    }
    names_free(names, count);
    return run == (int)count ? run : -1;
}

int main(int argc, char **argv)
{
    int total = 0;
    for (int i = 1; i < argc; i++) {
        struct stat info;
        if (stat(argv[i], &info) != 0) {
            fprintf(stderr, "no such corpus: %s\n", argv[i]);
            return 1;
        }
        int run = S_ISDIR(info.st_mode) ? run_folder(argv[i]) : (run_file(argv[i]) ? 1 : -1);
        if (run < 0)
            return 1;
        total += run;
    }
    printf("%d inputs replayed\n", total);
    return total > 0 ? 0 : 1;
}
