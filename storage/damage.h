/*
 * damage.h - what a reader had to leave out because it is damaged on disk.
 *
 * A request that carries a `struct store_damage` goes on without a damaged day,
 * group or chunk and notes here what it left out and where that lies; without
 * one, damage ends it as ERR_CORRUPT.  Whoever answers shows the texts as warnings.
 * Several threads may note at once; each text is kept once.
 */
#ifndef STORAGE_DAMAGE_H
#define STORAGE_DAMAGE_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>

struct error;
struct store_damage; /* opaque: damage.c */

enum { STORE_DAMAGE_MAX = 20 /* different texts; more are only counted */ };

struct store_damage *store_damage_new(void);
void store_damage_free(struct store_damage *damage); /* NULL is fine */

/* How many texts there are; when no other thread notes any more, each of them. */
size_t store_damage_count(struct store_damage *damage);
const char *store_damage_text(struct store_damage *damage, size_t which);

/*
 * For storage/: true when reading may go on without what `err` tells of: it is
 * ERR_CORRUPT and `damage` is not NULL.  Then `err` is noted and empty again.
 */
bool store_damage_skip(struct store_damage *damage, struct error *err) MUST_CHECK;

#endif
