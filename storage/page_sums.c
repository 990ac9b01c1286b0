/*
 * page_sums.c - see page_sums.h; the bytes are drawn in docs/format-partition.md.
 *
 * The sums file is made of sectors of 512 bytes, each with a checksum of its
 * own and the transaction it belongs to.  Sectors of even and odd transactions
 * alternate, so writing one commit's leaves the other's as they are, and what a
 * crash left half written can be told from damage: an unfinished record has
 * sectors of an older transaction or of nothing, a damaged one has a sector
 * that fails its checksum.
 */
#include "storage/page_sums.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/memory.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { SECTOR = 512, SECTOR_HEADER = 32, SECTOR_SUMS = (SECTOR - SECTOR_HEADER) / 8 };

static const uint32_t sector_magic = 0x31535445; /* ETS1 */
static const uint64_t file_size_max = UINT64_C(1) << 30;

enum slot_state { SLOT_NONE, SLOT_TORN, SLOT_WHOLE, SLOT_DAMAGED };

/* What the sums file has of the even or the odd transactions. */
struct slot {
    enum slot_state state;
    uint64_t txnid;
    uint32_t sectors, sums, page_size;
    uint64_t damage_at;
};

struct checking {
    const char *path;
    char sums_path[PATH_MAX];
    uint8_t *image; /* the sums file */
    uint64_t image_size;
    struct slot slots[2];
    struct page_file file;
    struct page_ledger *ledger;
    void (*finding)(void *context, const char *text); /* NULL: the first is an error */
    void *context;
    struct error *err;
};

bool page_sums_path(const char *path, char *out, size_t size)
{
    int n = snprintf(out, size, "%s-sums", path);
    return n > 0 && (size_t)n < size;
}

void page_ledger_done(struct page_ledger *ledger)
{
    array_done(&ledger->known);
    *ledger = (struct page_ledger){0};
}

/* A finding at an offset of the file or of its sums; true when checking goes on. */
static bool finding(struct checking *c, const char *path, uint64_t offset, const char *what)
{
    struct error text = {0};
    error_set(&text, ERR_CORRUPT, "%s: offset %" PRIu64 " is damaged: %s", path, offset, what);
    if (c->finding == NULL) {
        *c->err = text;
        return false;
    }
    c->finding(c->context, text.message);
    return true;
}

/* ---- the sums file, read ------------------------------------------------------------ */

static bool file_read(const char *path, uint8_t **image, uint64_t *size, struct error *err)
{
    *image = NULL;
    *size = 0;
    struct error missing = {0};
    AUTO(fd_drop) int fd = file_open(path, O_RDONLY | O_CLOEXEC, 0, &missing);
    if (fd < 0 && missing.code == ERR_NOT_FOUND)
        return true;
    if (fd < 0) {
        *err = missing;
        return false;
    }
    if (!file_size(fd, size, err))
        return false;
    if (*size > file_size_max)
        return error_set(err, ERR_CORRUPT, "%s is too large for sums", path);
    *image = xmalloc((size_t)*size + 1);
    return file_read_at(fd, *image, (size_t)*size, 0, err) || error_prefix(err, "%s", path);
}

enum sector_state { SECTOR_EMPTY, SECTOR_GOOD, SECTOR_BAD };

static enum sector_state sector_look(const struct checking *c, unsigned slot, uint64_t index,
                                     const uint8_t **sector)
{
    static const uint8_t zeros[SECTOR];
    uint64_t at = (2 * index + slot) * SECTOR;
    if (at >= c->image_size)
        return SECTOR_EMPTY;
    uint64_t have = c->image_size - at < SECTOR ? c->image_size - at : SECTOR;
    *sector = c->image + at;
    if (memcmp(*sector, zeros, have) == 0)
        return SECTOR_EMPTY;
    bool good = have == SECTOR && bytes_get32(*sector) == sector_magic &&
                bytes_get32(*sector + 4) == checksum32(*sector + 8, SECTOR - 8) &&
                bytes_get32(*sector + 16) == index && bytes_get64(*sector + 8) % 2 == slot;
    return good ? SECTOR_GOOD : SECTOR_BAD;
}

static struct slot slot_look(const struct checking *c, unsigned number)
{
    const uint8_t *sector;
    struct slot slot = {.state = SLOT_NONE};
    uint64_t end = 1 + c->image_size / (2 * SECTOR);
    for (uint64_t i = 0; i < end; i++) {
        enum sector_state state = sector_look(c, number, i, &sector);
        if (state == SECTOR_BAD) {
            slot.state = SLOT_DAMAGED;
            slot.damage_at = (2 * i + number) * SECTOR;
            return slot;
        }
        if (i == 0 && state == SECTOR_GOOD) {
            slot.state = SLOT_WHOLE;
            slot.txnid = bytes_get64(sector + 8);
            slot.sectors = bytes_get32(sector + 20);
            slot.sums = bytes_get32(sector + 24);
            slot.page_size = bytes_get32(sector + 28);
            end = slot.sectors;
        } else if (slot.state == SLOT_WHOLE &&
                   (state == SECTOR_EMPTY || bytes_get64(sector + 8) != slot.txnid ||
                    bytes_get32(sector + 20) != slot.sectors)) {
            slot.state = SLOT_TORN;
        }
    }
    if (slot.state == SLOT_WHOLE &&
        (slot.sums == 0 || slot.sectors != (slot.sums + SECTOR_SUMS - 1) / SECTOR_SUMS))
        slot.state = SLOT_DAMAGED;
    return slot;
}

/* The sums of a whole slot. */
static void slot_sums(const struct checking *c, unsigned number, struct page_ledger *ledger)
{
    const struct slot *slot = &c->slots[number];
    const uint8_t *sector;
    ledger->any = true;
    ledger->txnid = slot->txnid;
    ledger->page_size = slot->page_size;
    ledger->known.count = 0;
    array_reserve(&ledger->known, slot->sums);
    for (uint32_t i = 0; i < slot->sums; i++) {
        sector = c->image + (2 * (uint64_t)(i / SECTOR_SUMS) + number) * SECTOR;
        const uint8_t *at = sector + SECTOR_HEADER + 8 * (size_t)(i % SECTOR_SUMS);
        array_push(&ledger->known, ((struct page_sum){bytes_get32(at), bytes_get32(at + 4)}));
    }
}

/* The slot of the last whole record, or -1. */
static int slot_last(const struct checking *c)
{
    const struct slot *s = c->slots;
    bool even = s[0].state == SLOT_WHOLE, odd = s[1].state == SLOT_WHOLE;
    if (even && odd)
        return s[0].txnid > s[1].txnid ? 0 : 1;
    return even ? 0 : odd ? 1 : -1;
}

static bool sums_read(struct checking *c)
{
    if (!page_sums_path(c->path, c->sums_path, sizeof(c->sums_path)))
        return error_set(c->err, ERR_INVALID, "the data directory's path is too long");
    if (!file_read(c->sums_path, &c->image, &c->image_size, c->err))
        return false;
    for (unsigned i = 0; i < 2; i++)
        c->slots[i] = slot_look(c, i);
    return true;
}

/* ---- the sums file, written ----------------------------------------------------------- */

static void sector_put(uint8_t *sector, const struct page_ledger *l, uint32_t index,
                       uint32_t sectors)
{
    memset(sector, 0, SECTOR);
    bytes_put32(sector, sector_magic);
    bytes_put64(sector + 8, l->txnid);
    bytes_put32(sector + 16, index);
    bytes_put32(sector + 20, sectors);
    bytes_put32(sector + 24, (uint32_t)l->known.count);
    bytes_put32(sector + 28, l->page_size);
    for (size_t i = 0; i < SECTOR_SUMS && index * SECTOR_SUMS + i < l->known.count; i++) {
        const struct page_sum *sum = &l->known.items[index * SECTOR_SUMS + i];
        bytes_put32(sector + SECTOR_HEADER + 8 * i, sum->page);
        bytes_put32(sector + SECTOR_HEADER + 8 * i + 4, sum->sum);
    }
    bytes_put32(sector + 4, checksum32(sector + 8, SECTOR - 8));
}

static bool folder_sync(const char *path, struct error *err)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof(folder), "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash == NULL)
        return directory_sync(".", err);
    *slash = '\0';
    return directory_sync(folder, err);
}

/* Write the ledger's record between the other transaction's sectors, which stay. */
static bool sums_write(const char *path, const struct page_ledger *l, struct error *err)
{
    char sums_path[PATH_MAX];
    if (!page_sums_path(path, sums_path, sizeof(sums_path)))
        return error_set(err, ERR_INVALID, "the data directory's path is too long");
    if (l->known.count > file_size_max / 32)
        return error_set(err, ERR_LIMIT, "%s has too many pages", path);
    uint32_t sectors = (uint32_t)((l->known.count + SECTOR_SUMS - 1) / SECTOR_SUMS);
    uint64_t have = 0;
    AUTO(fd_drop) int fd = file_open(sums_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600, err);
    if (fd < 0 || !file_size(fd, &have, err))
        return false;
    size_t size = (size_t)sectors * 2 * SECTOR;
    AUTO(memory_drop) uint8_t *image = xcalloc(1, size);
    if (have > 0 && !file_read_at(fd, image, have < size ? (size_t)have : size, 0, err))
        return error_prefix(err, "%s", sums_path);
    unsigned slot = l->txnid % 2;
    for (uint32_t i = 0; i < sectors; i++)
        sector_put(image + (2 * (size_t)i + slot) * SECTOR, l, i, sectors);
    if (!file_write_at(fd, image, size, 0, err) || !file_sync_data(fd, err))
        return error_prefix(err, "%s", sums_path);
    return have > 0 || folder_sync(sums_path, err);
}

bool page_sums_forget(const char *path, uint64_t txnid, struct error *err)
{
    static const uint8_t zeros[SECTOR];
    char sums_path[PATH_MAX];
    if (!page_sums_path(path, sums_path, sizeof(sums_path)))
        return error_set(err, ERR_INVALID, "the data directory's path is too long");
    AUTO(fd_drop) int fd = file_open(sums_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600, err);
    if (fd < 0)
        return false;
    return (file_write_at(fd, zeros, SECTOR, (txnid % 2) * SECTOR, err) &&
            file_sync_data(fd, err)) ||
           error_prefix(err, "%s", sums_path);
}

/* ---- checking ---------------------------------------------------------------------------- */

static bool meta_is_older(const struct page_meta *other, bool valid, const struct page_ledger *l)
{
    return valid && other->page_size == l->page_size &&
           (other->txnid < l->txnid || (l->txnid == 0 && other->txnid == 0));
}

/* Make the other meta page one that LMDB does not choose: the good one under an older number. */
static bool commit_undo(struct checking *c, unsigned good)
{
    const struct page_ledger *l = c->ledger;
    AUTO(memory_drop) uint8_t *page = xmalloc(l->page_size);
    AUTO(fd_drop) int fd = file_open(c->path, O_RDWR | O_CLOEXEC, 0, c->err);
    if (fd < 0 || !file_read_at(fd, page, l->page_size, (uint64_t)good * l->page_size, c->err))
        return false;
    bytes_put64(page, 1 - good);
    bytes_put64(page + PAGE_META_SIZE - 8, l->txnid > 0 ? l->txnid - 1 : 0);
    return (file_write_at(fd, page, l->page_size, (uint64_t)(1 - good) * l->page_size, c->err) &&
            file_sync_data(fd, c->err)) ||
           error_prefix(c->err, "%s", c->path);
}

/* There is a whole record: LMDB must read exactly the commit that it is of. */
static bool metas_check(struct checking *c, unsigned good, struct page_meta *meta)
{
    const struct page_ledger *l = c->ledger;
    struct page_meta other;
    uint64_t size = l->page_size;
    if (!page_meta_read(&c->file, l->page_size, good, meta) || meta->txnid != l->txnid ||
        meta->page_size != l->page_size || l->known.items[0].page != good ||
        l->known.items[0].sum != meta->sum)
        return finding(c, c->path, good * size, "the meta page of the last commit") && false;
    bool valid = page_meta_read(&c->file, l->page_size, 1 - good, &other);
    if (meta_is_older(&other, valid, l))
        return c->finding == NULL || c->slots[1 - good].state != SLOT_DAMAGED ||
               finding(c, c->sums_path, c->slots[1 - good].damage_at, "sums of an older commit");
    if (c->slots[1 - good].state == SLOT_DAMAGED)
        return finding(c, c->sums_path, c->slots[1 - good].damage_at,
                       "which commit is the last one cannot be told") &&
               false;
    if (c->finding == NULL)
        return commit_undo(c, good);
    bool unfinished = valid && other.txnid == l->txnid + 1;
    return unfinished || finding(c, c->path, (1 - good) * size, "the older meta page");
}

static bool pages_check(struct checking *c, const struct page_meta *meta)
{
    struct page_walk_request request = {.mode = PAGE_WALK_CHECK,
                                        .deep = c->finding != NULL,
                                        .known = &c->ledger->known,
                                        .finding = c->finding,
                                        .context = c->context};
    return page_walk(&c->file, meta, &request, c->err);
}

/* No record: a file from before there were sums, or one that was never finished. */
static bool file_adopt(struct checking *c)
{
    struct page_meta metas[2];
    struct page_ledger *l = c->ledger;
    bool first = page_meta_read(&c->file, PAGE_SIZE_MIN, 0, &metas[0]);
    uint32_t page_size = first ? metas[0].page_size : PAGE_SIZE_MIN;
    bool second = page_meta_read(&c->file, page_size, 1, &metas[1]);
    if (!first || !second)
        return finding(c, c->path, first ? page_size : 0, "a meta page");
    const struct page_meta *meta = &metas[metas[1].txnid > metas[0].txnid];
    if (meta->page_size != page_size)
        return finding(c, c->path, page_size, "a meta page");
    l->known.count = 0;
    array_push(&l->known, ((struct page_sum){metas[1].txnid > metas[0].txnid, meta->sum}));
    struct page_walk_request request = {.mode = PAGE_WALK_BUILD,
                                        .deep = true,
                                        .found = &l->known,
                                        .finding = c->finding,
                                        .context = c->context};
    if (!page_walk(&c->file, meta, &request, c->err))
        return false;
    l->any = true;
    l->txnid = meta->txnid;
    l->page_size = page_size;
    return c->finding != NULL || sums_write(c->path, l, c->err);
}

static bool file_check(struct checking *c)
{
    struct page_meta meta;
    int last = slot_last(c);
    if (last >= 0) {
        slot_sums(c, (unsigned)last, c->ledger);
        return metas_check(c, (unsigned)last, &meta) && pages_check(c, &meta);
    }
    for (unsigned i = 0; i < 2; i++)
        if (c->slots[i].state == SLOT_DAMAGED)
            return finding(c, c->sums_path, c->slots[i].damage_at, "the sums of the last commit") &&
                   false;
    return file_adopt(c);
}

static bool check(struct checking *c)
{
    AUTO(fd_drop) int fd = file_open(c->path, O_RDONLY | O_CLOEXEC, 0, c->err);
    if (fd < 0 && c->err->code == ERR_NOT_FOUND)
        return true;
    c->file = (struct page_file){.path = c->path, .fd = fd};
    bool ok = fd >= 0 && file_size(fd, &c->file.size, c->err) && sums_read(c) && file_check(c);
    memory_drop(&c->image);
    return ok;
}

bool page_sums_check(const char *path, struct page_ledger *ledger, struct error *err)
{
    struct error own = {0};
    struct checking c = {.path = path, .ledger = ledger, .err = &own};
    *ledger = (struct page_ledger){0};
    if (check(&c))
        return true;
    page_ledger_done(ledger);
    *err = own;
    return false;
}

void page_sums_report(const char *path, void (*told)(void *context, const char *text),
                      void *context)
{
    struct error own = {0};
    struct page_ledger ledger = {0};
    struct checking c = {
        .path = path, .ledger = &ledger, .finding = told, .context = context, .err = &own};
    if (!check(&c) && own.message[0] != '\0')
        told(context, own.message);
    page_ledger_done(&ledger);
}

bool page_sums_load(const char *path, struct page_ledger *ledger, struct error *err)
{
    struct checking c = {.path = path, .ledger = ledger, .err = err};
    *ledger = (struct page_ledger){0};
    bool ok = sums_read(&c);
    int last = ok ? slot_last(&c) : -1;
    if (last >= 0)
        slot_sums(&c, (unsigned)last, ledger);
    memory_drop(&c.image);
    return ok;
}

/* ---- after a commit -------------------------------------------------------------------------- */

bool page_sums_commit(const char *path, int fd, struct page_ledger *ledger, struct error *err)
{
    struct page_file file = {.path = path, .fd = fd};
    struct page_meta metas[2];
    if (!file_size(fd, &file.size, err))
        return false;
    bool valid = page_meta_read(&file, PAGE_SIZE_MIN, 0, &metas[0]) &&
                 page_meta_read(&file, metas[0].page_size, 1, &metas[1]);
    unsigned newest = valid && metas[1].txnid > metas[0].txnid;
    const struct page_meta *meta = &metas[newest];
    if (!valid || (ledger->any && (meta->txnid < ledger->txnid || meta->txnid > ledger->txnid + 1)))
        return error_set(err, ERR_CORRUPT, "%s: its meta pages do not follow its sums", path);
    if (ledger->any && meta->txnid == ledger->txnid)
        return true; /* nothing was changed */
    struct page_ledger next = {.any = true, .txnid = meta->txnid, .page_size = meta->page_size};
    array_push(&next.known, ((struct page_sum){newest, meta->sum}));
    struct page_walk_request request = {.mode = ledger->any ? PAGE_WALK_NEXT : PAGE_WALK_BUILD,
                                        .known = &ledger->known,
                                        .found = &next.known};
    if (!page_walk(&file, meta, &request, err) || !sums_write(path, &next, err)) {
        page_ledger_done(&next);
        return false;
    }
    page_ledger_done(ledger);
    *ledger = next;
    return true;
}
