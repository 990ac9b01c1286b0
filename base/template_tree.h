/*
 * template_tree.h - between the files of templates: the tree, values and functions.
 */
#ifndef BASE_TEMPLATE_TREE_H
#define BASE_TEMPLATE_TREE_H

#include "base/arena.h"
#include "base/template.h"

#include <stddef.h>

enum {
    TEMPLATE_DEPTH_MAX = 50,
    TEMPLATE_VARIABLES_MAX = 64,
    TEMPLATE_ARGUMENTS_MAX = 32,
    TEMPLATE_STEPS_MAX = 1000000 /* nodes that one run visits: loops nest */
};

enum template_type {
    TV_NIL,
    TV_STRING,
    TV_INT,
    TV_FLOAT,
    TV_BOOL,
    TV_TIME,   /* integer: ns since the epoch, UTC; INT64_MIN: year 1, Go's zero time */
    TV_LABELS, /* the dot */
    TV_MAP,
    TV_LIST
};

struct template_value {
    enum template_type type;
    struct slice text;
    int64_t integer; /* INT, TIME, BOOL */
    double number;
    struct template_value *items; /* MAP, LIST */
    struct slice *keys;           /* MAP: sorted */
    size_t count;
};

enum operand_kind {
    OPERAND_DOT,
    OPERAND_FIELD,
    OPERAND_VARIABLE,
    OPERAND_FUNCTION,
    OPERAND_CONSTANT,
    OPERAND_PIPE
};

struct template_operand {
    enum operand_kind kind;
    struct template_value constant;
    struct slice name; /* of the variable, with its $ */
    const struct template_function *function;
    const struct template_pipe *pipe;
    struct slice *fields; /* .a.b behind it, or the field itself */
    size_t field_count;
};

struct template_command {
    struct template_operand *operands;
    size_t count;
};

struct template_pipe {
    struct slice variables[2];
    size_t variable_count;
    bool assigns; /* $x = ... rather than $x := ... */
    struct template_command *commands;
    size_t count;
};

enum template_node_kind {
    TN_TEXT,
    TN_ACTION,
    TN_IF,
    TN_RANGE,
    TN_WITH,
    TN_TEMPLATE,
    TN_BREAK,
    TN_CONTINUE
};

struct template_node {
    enum template_node_kind kind;
    struct slice text; /* TEXT; the name of TEMPLATE */
    const struct template_pipe *pipe;
    const struct template_node *body, *otherwise; /* lists */
    const struct template_node *next;
};

struct template_definition {
    struct slice name;
    const struct template_node *body;
    const struct template_definition *next;
};

struct text_template {
    const char *name;
    const struct template_node *body;
    const struct template_definition *definitions;
};

/* One run. */
struct template_run {
    const struct text_template *t;
    const struct template_input *input;
    struct arena *arena;
    struct buffer *out;
    struct error *err;
    struct {
        struct slice name;
        struct template_value value;
    } variables[TEMPLATE_VARIABLES_MAX];
    size_t variable_count;
    unsigned depth;
    uint32_t steps;
};

struct template_function {
    const char *name;
    const char *parameters; /* s text, i whole number, f number, a anything, t time; * repeats */
    bool (*call)(struct template_run *run, const struct template_value *arguments, size_t count,
                 struct template_value *result);
};

/* NULL when there is no such function. */
const struct template_function *template_function_find(struct slice name);

bool template_fail(struct template_run *run, const char *format, ...) PRINTF_LIKE(2, 3);
bool template_truth(const struct template_value *value);
/* As Go's %v. */
void template_print(struct buffer *out, const struct template_value *value, bool nested);
struct template_value template_text(struct slice text);

/* template_printf.c */
bool template_printf(struct template_run *run, const struct template_value *arguments, size_t count,
                     struct template_value *result);

/* template_time.c: Go's layouts.  Texts that name no offset from UTC are times of `zone`. */
void template_time_format(struct buffer *out, int64_t ns, struct slice layout);
bool template_time_parse(struct slice text, struct slice layout, struct slice zone, int64_t *ns);

#endif
