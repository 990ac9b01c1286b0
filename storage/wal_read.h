/*
 * wal_read.h - reading a segment of the log back, record by record.
 *
 * Only whole records with a right checksum and the expected LSN come out.  What
 * stands behind a bad one decides whether it is a torn tail or damage.
 */
#ifndef STORAGE_WAL_READ_H
#define STORAGE_WAL_READ_H

#include "storage/wal_record.h"

struct wal_reader; /* opaque: fields in wal_read.c */

enum wal_read { WAL_READ_RECORD, WAL_READ_END, WAL_READ_BAD, WAL_READ_ERROR };

/*
 * Open the segment at `path`.  `*valid` says whether its header is whole; else
 * nothing can be read from it.  ERR_UNSUPPORTED for a newer version.
 */
struct wal_reader *wal_reader_open(const char *path, bool *valid, struct error *err) MUST_CHECK;
void wal_reader_close(struct wal_reader *reader); /* NULL is fine */

const struct wal_segment_header *wal_reader_header(const struct wal_reader *reader);
/* Is the header all zeros?  That is what a power loss during a roll may leave. */
bool wal_reader_is_blank(struct wal_reader *reader);
uint64_t wal_reader_size(const struct wal_reader *reader);   /* of the file */
uint64_t wal_reader_offset(const struct wal_reader *reader); /* behind the last good record */
uint64_t wal_reader_next_lsn(const struct wal_reader *reader);

/* The next record; its payload is valid until the next call. */
enum wal_read wal_reader_next(struct wal_reader *reader, struct wal_record *record,
                              struct error *err) MUST_CHECK;

/*
 * After WAL_READ_BAD: does a whole record of a later write group stand behind
 * the bad place?  Then it is damage and not a torn tail.
 */
bool wal_reader_damaged(struct wal_reader *reader, bool *damaged, struct error *err) MUST_CHECK;

#endif
