/*
 * seal_encode.h - from a frozen chunk of the head to chunks of a partition.
 *
 * Keeps its scratch memory between calls; used by one sealing thread.
 */
#ifndef STORAGE_SEAL_ENCODE_H
#define STORAGE_SEAL_ENCODE_H

#include "base/compiler.h"
#include "storage/head_chunk.h"

#include <stdbool.h>
#include <stdint.h>

struct error;
struct seal;
struct seal_encoder; /* opaque: fields in seal_encode.c */

/* `skip_index`: log chunks get filters over their lines. */
struct seal_encoder *seal_encoder_new(bool skip_index);
void seal_encoder_free(struct seal_encoder *encoder); /* NULL is fine */

/*
 * Add what `chunk` has of UTC day `day` to `seal` as series number `series`: sorted,
 * each sample time and each equal entry once, cut where a partition's chunks must be.
 */
bool seal_encode(struct seal_encoder *encoder, struct seal *seal, uint32_t series,
                 const struct head_chunk *chunk, int32_t day, struct error *err) MUST_CHECK;

#endif
