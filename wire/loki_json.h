/*
 * loki_json.h - Loki's push request as JSON.
 *
 *     {"streams": [{"stream": {"app": "x"},
 *                   "values": [["1700000000000000000", "line", {"trace": "1"}]]}]}
 *
 * "values" may stand before "stream".  The key of a stream is the text of its
 * "stream" object as sent.
 */
#ifndef WIRE_LOKI_JSON_H
#define WIRE_LOKI_JSON_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdbool.h>

struct error;
struct log_sink;

/*
 * Decode `body` (not compressed).  Malformed JSON and values of the wrong type
 * (a time that is no string) fail with ERR_INVALID, as Loki answers 400; what went
 * to the sink before must then be thrown away.  When the sink stops, false with `err` untouched.
 */
bool loki_json_decode(struct slice body, const struct log_sink *sink, struct error *err) MUST_CHECK;

#endif
