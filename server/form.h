/*
 * form.h - the parameters of a request: urlencoded pairs of the URL and of the body.
 *
 * Both are merged, the body's first, as Go's Request.Form does it: Grafana puts
 * some parameters into the URL of a POST whose body carries the others.  Every
 * size is limited: a form is at most as large as its request, holds at most
 * FORM_PAIRS_MAX pairs, and decoded text lies in one arena.
 */
#ifndef SERVER_FORM_H
#define SERVER_FORM_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct error;

enum { FORM_PAIRS_MAX = 4096 };

struct form_pair {
    struct slice name, value;
};

struct form {
    struct arena *arena; /* not owned: decoded text and the pairs */
    struct form_pair *pairs;
    size_t count, capacity;
};

void form_init(struct form *form, struct arena *arena);

/*
 * Add the pairs of `text` (a=1&b=x+y%21).  Fails with ERR_INVALID for a bad
 * escape and ERR_LIMIT for too many pairs or too much text.
 */
bool form_parse(struct form *form, struct slice text, struct error *err) MUST_CHECK;

/* The first value of `name`; data NULL when it is not there. */
struct slice form_get(const struct form *form, struct slice name);

/* The next value of `name` from pair `*at` on, which moves behind it; false at the end. */
bool form_next(const struct form *form, struct slice name, size_t *at, struct slice *value);

/*
 * Decode one percent-encoded piece of text into the arena; `plus` turns '+' into a
 * blank (forms do, paths do not).
 */
bool url_decode(struct arena *arena, struct slice text, bool plus, struct slice *out,
                struct error *err) MUST_CHECK;

#endif
