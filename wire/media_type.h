/*
 * media_type.h - judging Content-Type and Content-Encoding of a push.
 *
 * The answer depends on the headers alone, so that a wrong type is refused before
 * the body is read: a sender of remote-write that gets 415 falls back to
 * version 1.0.  A header that is absent is a slice with data NULL; an empty one counts as absent.
 */
#ifndef WIRE_MEDIA_TYPE_H
#define WIRE_MEDIA_TYPE_H

#include "base/compiler.h"
#include "base/slice.h"
#include "wire/body.h"

#include <stdbool.h>

struct error;

/*
 * Remote-write: protobuf in snappy blocks, which is also meant when a header is
 * absent.  Anything else fails with ERR_UNSUPPORTED (415): another type, another
 * message than prometheus.WriteRequest, another encoding.
 */
bool media_type_remote_write(struct slice content_type, struct slice content_encoding,
                             struct body_coding *coding, struct error *err) MUST_CHECK;

enum loki_push_format { LOKI_PUSH_PROTOBUF, LOKI_PUSH_JSON };

/*
 * Loki's push: application/json with any parameters is JSON, every other type is
 * protobuf in a snappy block.  A missing or malformed type and an unknown
 * encoding fail with ERR_INVALID (400).
 */
bool media_type_loki_push(struct slice content_type, struct slice content_encoding,
                          enum loki_push_format *format, struct body_coding *coding,
                          struct error *err) MUST_CHECK;

/*
 * Split a media type into its "type/subtype" and look for parameter `name`
 * (case does not matter); `*value` has data NULL when there is none.  False
 * when the text is no media type.  A quoted value comes without its quotes.
 */
bool media_type_parse(struct slice text, struct slice *type, struct slice name,
                      struct slice *value);

#endif
