/*
 * import_json.h - one line of JSON with samples of a series or an entry of a stream.
 *
 * What `etinde export` prints and VictoriaMetrics' /api/v1/export (docs/operations.md):
 *
 *     {"metric":{...},"values":[1,"NaN"],"timestamps":[ms,...],"starts":[ms,...]}
 *     {"metric":{...},"histograms":[{...}],"timestamps":[ms,...],"starts":[ms,...]}
 *     {"stream":{...},"timestamp":"ns","line":"...","metadata":{...}}
 *     {"family":"up","type":"gauge","help":"...","unit":"..."}
 *
 * Keys may come in any order; unknown ones are skipped.
 */
#ifndef WIRE_IMPORT_JSON_H
#define WIRE_IMPORT_JSON_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdbool.h>

struct arena;
struct error;
struct import_sink;

/*
 * Read one line; `arena` is reset first.  ERR_INVALID with the offset when it is malformed; false
 * with ERR_NONE when the sink stopped.
 */
bool import_json_line(struct slice line, struct arena *arena, const struct import_sink *sink,
                      struct error *err) MUST_CHECK;

#endif
