/*
 * template_text.h - transformations of texts that templates offer.
 */
#ifndef BASE_TEMPLATE_TEXT_H
#define BASE_TEMPLATE_TEXT_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct buffer;
struct template_value;

/* Letters of the Latin, Greek and Cyrillic alphabets change; others stay. */
void text_upper(struct buffer *b, struct slice s);
void text_lower(struct buffer *b, struct slice s);
/* The first letter of each word. */
void text_title(struct buffer *b, struct slice s);

/* Query escaping: a blank is '+'.  Decoding fails on a malformed escape. */
void text_url_encode(struct buffer *b, struct slice s);
bool text_url_decode(struct buffer *b, struct slice s);

/* Decoding takes texts without padding too; `*bad` is the offset of what is wrong. */
void text_base64_encode(struct buffer *b, struct slice s);
bool text_base64_decode(struct buffer *b, struct slice s, size_t *bad);

void text_html_escape(struct buffer *b, struct slice s);
void text_js_escape(struct buffer *b, struct slice s);

/* In code points. */
size_t text_length(struct slice s);
struct slice text_sub(struct slice s, size_t from, size_t count);

/* A JSON document as a value in `arena`; false when it is none. */
bool text_from_json(struct slice s, struct arena *arena, struct template_value *value);

#endif
