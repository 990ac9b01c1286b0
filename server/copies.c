/* copies.c - see copies.h. */
#include "server/copies.h"

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/files.h"
#include "base/json_reader.h"
#include "base/slice.h"
#include "server/tar.h"
#include "storage/snapshot.h"
#include "storage/verify.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_SIZE_MAX = 64 * 1024, HOST_SIZE = 256, TEXT_MEMORY = 4096 };

/* ---- asking the server ------------------------------------------------------------ */

/* http://host:port, with nothing behind it. */
static bool url_split(const char *url, char host[HOST_SIZE], const char **port, struct error *err)
{
    struct slice rest = slice_from_text(url);
    if (!slice_starts_with(rest, SLICE("http://")))
        return error_set(err, ERR_INVALID, "--url must be http://HOST:PORT");
    rest = slice_skip(rest, 7);
    if (slice_ends_with(rest, SLICE("/")))
        rest = slice_sub(rest, 0, rest.size - 1);
    const char *colon = memrchr(rest.data, ':', rest.size);
    if (rest.size >= HOST_SIZE || colon == NULL)
        return error_set(err, ERR_INVALID, "--url must be http://HOST:PORT");
    memcpy(host, rest.data, rest.size);
    host[rest.size] = '\0';
    char *end = strrchr(host, ':');
    *end = '\0';
    *port = end + 1;
    if (host[0] == '[' && end[-1] == ']') {
        end[-1] = '\0';
        memmove(host, host + 1, strlen(host));
    }
    return true;
}

static int server_connect(const char *url, struct error *err)
{
    char host[HOST_SIZE];
    const char *port = "";
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    if (!url_split(url, host, &port, err))
        return -1;
    int problem = getaddrinfo(host, port, &hints, &found);
    if (problem != 0) {
        error_set(err, ERR_UNAVAILABLE, "%s: %s", url, gai_strerror(problem));
        return -1;
    }
    int fd = -1;
    for (const struct addrinfo *a = found; a != NULL && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) != 0)
            fd_drop(&fd);
    }
    freeaddrinfo(found);
    if (fd < 0)
        error_set(err, ERR_UNAVAILABLE, "%s: %s", url, strerror(errno));
    return fd;
}

/* The whole answer to one request, which takes as long as the copy. */
static bool exchange(const char *url, struct buffer *answer, struct error *err)
{
    static const char request[] = "POST /api/v1/admin/tsdb/snapshot HTTP/1.1\r\nHost: etinde\r\n"
                                  "Content-Length: 0\r\nConnection: close\r\n\r\n";
    AUTO(fd_drop) int fd = server_connect(url, err);
    if (fd < 0)
        return false;
    if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(request) - 1)
        return error_set(err, ERR_UNAVAILABLE, "%s: %s", url, strerror(errno));
    for (;;) {
        char *room = buffer_reserve(answer, 4096);
        ssize_t n = room ? recv(fd, room, 4096, 0) : -1;
        if (n < 0 && room && errno == EINTR)
            continue;
        if (n < 0)
            return error_set(err, ERR_UNAVAILABLE, "%s: no whole answer", url);
        if (n == 0)
            return true;
        buffer_advance(answer, (size_t)n);
    }
}

/* The snapshot's name, which becomes a part of a path. */
static bool name_find(struct slice body, char name[SNAPSHOT_NAME_SIZE])
{
    struct json_reader json;
    json_reader_init(&json, body, JSON_UTF8_REFUSE);
    while (json_next(&json) != JSON_END && json.event != JSON_ERROR) {
        if (json.event != JSON_KEY || !json_is(&json, SLICE("name")))
            continue;
        if (json_next(&json) != JSON_STRING || json.value.size >= SNAPSHOT_NAME_SIZE ||
            slice_find_byte(json.value, '/', 0) != SLICE_NOT_FOUND || json.value.size < 2)
            return false;
        memcpy(name, json.value.data, json.value.size);
        name[json.value.size] = '\0';
        return true;
    }
    return false;
}

static bool snapshot_ask(const char *url, char name[SNAPSHOT_NAME_SIZE], struct error *err)
{
    AUTO(buffer_done) struct buffer answer;
    buffer_init(&answer, ANSWER_SIZE_MAX);
    if (!exchange(url, &answer, err))
        return false;
    struct slice text = buffer_slice(&answer);
    const char *body = memmem(text.data, text.size, "\r\n\r\n", 4);
    struct slice content =
        body ? slice_skip(text, (size_t)(body + 4 - text.data)) : (struct slice){NULL, 0};
    if (slice_starts_with(text, SLICE("HTTP/1.1 200 ")) && name_find(content, name))
        return true;
    return error_set(err, ERR_UNAVAILABLE, "%s answers: %.*s", url,
                     content.size > 300 ? 300 : (int)content.size,
                     content.data ? content.data : "");
}

/* ---- backup --------------------------------------------------------------------------- */

/* Locks carry no data, and copies and imports of their own stay where they are. */
static bool is_data(const char *path)
{
    struct slice text = slice_from_text(path);
    return !slice_equal(text, SLICE("lock")) && !slice_equal(text, SLICE("lost+found")) &&
           !slice_equal(text, SLICE("snapshots")) && !slice_equal(text, SLICE("import")) &&
           !slice_ends_with(text, SLICE(".mdb-lock"));
}

static bool backup_running(const char *data, const char *url, const char *destination,
                           struct error *err)
{
    char name[SNAPSHOT_NAME_SIZE], path[PATH_MAX];
    if (!snapshot_ask(url, name, err))
        return false;
    int n = snprintf(path, sizeof(path), "%s/snapshots/%s", data, name);
    if (n < 0 || n >= PATH_MAX)
        return error_set(err, ERR_INVALID, "%s: the path is too long", data);
    if (!snapshot_is_store(path, err))
        return error_prefix(err, "the server at %s has another data directory", url);
    bool ok = strcmp(destination, "-") == 0 ? tar_write(path, is_data, stdout, err)
                                            : store_backup(path, destination, err);
    tree_remove(path);
    return ok;
}

bool copies_backup(const char *data, const char *url, const char *destination, struct error *err)
{
    if (url != NULL)
        return backup_running(data, url, destination, err);
    if (strcmp(destination, "-") != 0)
        return store_backup(data, destination, err);
    if (!snapshot_is_store(data, err))
        return false;
    AUTO(fd_drop) int lock = store_lock(data, err);
    return lock >= 0 && tar_write(data, is_data, stdout, err);
}

/* ---- restore ---------------------------------------------------------------------------- */

static void print_finding(void *context, bool damage, const char *text)
{
    (void)context;
    if (damage)
        fprintf(stderr, "%s\n", text);
}

static bool is_sound(const char *copy, struct error *err)
{
    struct verify_report report;
    return store_verify(copy, print_finding, NULL, &report, err) &&
           (report.problems == 0 ||
            error_set(err, ERR_CORRUPT, "%s is damaged, nothing was restored", copy));
}

/* Into a folder beside DIR, which gets its name when it is whole and sound. */
static bool restore_stream(const char *data, struct error *err)
{
    char part[PATH_MAX], parent[PATH_MAX + 4];
    size_t size = strlen(data);
    while (size > 1 && data[size - 1] == '/')
        size--;
    int n = snprintf(part, sizeof(part), "%.*s.part", (int)size, data);
    if (n < 0 || n >= PATH_MAX)
        return error_set(err, ERR_INVALID, "%s: the path is too long", data);
    if (access(part, F_OK) == 0)
        return error_set(err, ERR_INVALID, "%s exists: remove it first", part);
    if (rmdir(data) != 0 && errno != ENOENT)
        return error_set(err, ERR_INVALID, "%s is not empty", data);
    snprintf(parent, sizeof(parent), "%s/..", data);
    bool ok = tar_read(stdin, part, err) && snapshot_is_store(part, err) && is_sound(part, err) &&
              file_rename(part, data, err) && directory_sync(parent, err);
    if (!ok)
        tree_remove(part);
    return ok;
}

bool copies_restore(const char *data, const char *copy, struct error *err)
{
    if (strcmp(copy, "-") == 0)
        return restore_stream(data, err);
    return is_sound(copy, err) && store_backup(copy, data, err);
}
