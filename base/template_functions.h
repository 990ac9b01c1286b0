/*
 * template_functions.h - between the files that define the functions of templates.
 *
 * Each of them ends with a table; template_function_find() looks through all.
 */
#ifndef BASE_TEMPLATE_FUNCTIONS_H
#define BASE_TEMPLATE_FUNCTIONS_H

#include "base/buffer.h"
#include "base/template_tree.h"

enum { TEMPLATE_TEXT_MAX = 4 << 20 };

struct template_functions {
    const struct template_function *items;
    size_t count;
};
extern const struct template_functions template_text_functions;
extern const struct template_functions template_number_functions;

#define FUNCTION(name)                                                                             \
    static bool name(struct template_run *run, const struct template_value *a, size_t n,           \
                     struct template_value *out)
#define UNUSED (void)run, (void)a, (void)n

/* What a function returns: the value goes to `out`.  give_text frees the buffer. */
bool give_text(struct template_run *run, struct buffer *b, struct template_value *out);
bool give_bool(struct template_value *out, bool value);
bool give_int(struct template_value *out, int64_t value);
bool give_float(struct template_value *out, double value);

#endif
