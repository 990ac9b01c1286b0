/*
 * zone.h - time zones by name, as the system's zone files (TZif, RFC 8536) give them.
 *
 * Files are read from /usr/share/zoneinfo (Debian's tzdata) at a zone's first use and kept
 * until the process ends, 64 zones at most.  What a file's footer says about times
 * after its last transition is not read: Debian's files list transitions to 2037.
 * Any thread may call.
 */
#ifndef BASE_ZONE_H
#define BASE_ZONE_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The UTC seconds of `local` seconds (a wall clock's date and time counted as if it were UTC)
 * in zone `name`.  Of a time that a transition skips or repeats one meaning is taken, as
 * Go's time.Date does.  False when the zone is unknown; "" and "UTC" always are known.
 */
bool zone_to_utc(struct slice name, int64_t local, int64_t *utc);

#endif
