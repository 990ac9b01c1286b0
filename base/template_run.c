/*
 * template_run.c - walking a template's tree over one line.
 *
 * Values live in the run's arena.  Recursion follows the tree, whose depth the
 * parser limits, and calls of {{template}}, which are counted here.
 */
#include "base/buffer.h"
#include "base/error.h"
#include "base/number.h"
#include "base/template_tree.h"

#include <stdarg.h>
#include <stdio.h>

enum flow { FLOW_NEXT, FLOW_BREAK, FLOW_CONTINUE, FLOW_FAILED };

bool template_fail(struct template_run *run, const char *format, ...)
{
    char text[300];
    va_list arguments;
    if (run->err && run->err->code != ERR_NONE)
        return false;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return error_set(run->err, ERR_EXECUTION, "template: %s:1: executing \"%s\": %s", run->t->name,
                     run->t->name, text);
}

struct template_value template_text(struct slice text)
{
    return (struct template_value){.type = TV_STRING, .text = text};
}

bool template_truth(const struct template_value *value)
{
    switch (value->type) {
    case TV_STRING:
        return value->text.size > 0;
    case TV_INT:
    case TV_BOOL:
        return value->integer != 0;
    case TV_FLOAT:
        return value->number != 0;
    case TV_MAP:
    case TV_LIST:
        return value->count > 0;
    case TV_TIME:
    case TV_LABELS:
        return true;
    case TV_NIL:
        return false;
    }
    return false;
}

void template_print(struct buffer *out, const struct template_value *value, bool nested)
{
    switch (value->type) {
    case TV_NIL:
        buffer_append_text(out, nested ? "<nil>" : "<no value>");
        return;
    case TV_STRING:
        buffer_append_slice(out, value->text);
        return;
    case TV_INT:
        buffer_append_i64(out, value->integer);
        return;
    case TV_FLOAT:
        buffer_append_double(out, value->number, 'g');
        return;
    case TV_BOOL:
        buffer_append_text(out, value->integer ? "true" : "false");
        return;
    case TV_TIME:
        template_time_format(out, value->integer, SLICE("2006-01-02 15:04:05.999999999 -0700 MST"));
        return;
    case TV_LABELS:
        buffer_append_text(out, "map[]");
        return;
    case TV_MAP:
    case TV_LIST:
        buffer_append_text(out, value->type == TV_MAP ? "map[" : "[");
        for (size_t i = 0; i < value->count; i++) {
            if (i > 0)
                buffer_append_byte(out, ' ');
            if (value->type == TV_MAP) {
                buffer_append_slice(out, value->keys[i]);
                buffer_append_byte(out, ':');
            }
            template_print(out, &value->items[i], true);
        }
        buffer_append_byte(out, ']');
        return;
    }
}

/* ---- operands -------------------------------------------------------------------- */

static bool eval_pipe(struct template_run *run, const struct template_pipe *pipe,
                      const struct template_value *dot, struct template_value *result);

static bool time_method(struct template_run *run, struct slice name,
                        const struct template_value *argument, struct template_value *value)
{
    if (slice_equal(name, SLICE("UTC")))
        return true;
    if (slice_equal(name, SLICE("Unix"))) {
        *value = (struct template_value){.type = TV_INT, .integer = value->integer / 1000000000};
        return true;
    }
    if (slice_equal(name, SLICE("UnixNano"))) {
        *value = (struct template_value){.type = TV_INT, .integer = value->integer};
        return true;
    }
    if (!slice_equal(name, SLICE("Format")) || argument == NULL || argument->type != TV_STRING)
        return template_fail(run, "can't evaluate field %.*s in type time.Time", SLICE_ARG(name));
    struct buffer text;
    buffer_init(&text, 4096);
    template_time_format(&text, value->integer, argument->text);
    *value = template_text(arena_copy(run->arena, buffer_slice(&text)));
    buffer_done(&text);
    return true;
}

static bool field_of(struct template_run *run, struct slice name,
                     const struct template_value *argument, struct template_value *value)
{
    if (value->type == TV_LABELS) {
        *value = template_text(run->input->lookup(run->input->context, name));
        return true;
    }
    if (value->type == TV_TIME)
        return time_method(run, name, argument, value);
    if (value->type != TV_MAP)
        return template_fail(run, "can't evaluate field %.*s", SLICE_ARG(slice_sub(name, 0, 100)));
    for (size_t i = 0; i < value->count; i++) {
        if (slice_equal(value->keys[i], name)) {
            *value = value->items[i];
            return true;
        }
    }
    *value = (struct template_value){0};
    return true;
}

static bool variable_of(struct template_run *run, struct slice name, struct template_value *value)
{
    for (size_t i = run->variable_count; i-- > 0;) {
        if (slice_equal(run->variables[i].name, name)) {
            *value = run->variables[i].value;
            return true;
        }
    }
    return template_fail(run, "undefined variable %.*s", SLICE_ARG(slice_sub(name, 0, 100)));
}

static bool call_function(struct template_run *run, const struct template_function *function,
                          const struct template_value *arguments, size_t count,
                          struct template_value *result)
{
    const char *parameter = function->parameters;
    for (size_t i = 0; i < count; i++) {
        char kind = *parameter;
        if (kind == '\0' || kind == '?')
            return template_fail(run, "wrong number of args for %s: got %zu", function->name,
                                 count);
        enum template_type type = arguments[i].type;
        if (kind == 's' && type != TV_STRING)
            return template_fail(run, "%s: expected string", function->name);
        if (kind == 'i' && type != TV_INT)
            return template_fail(run, "%s: expected integer", function->name);
        if (kind == 't' && type != TV_TIME)
            return template_fail(run, "%s: expected a time", function->name);
        if (parameter[1] != '*')
            parameter++;
    }
    bool rest = *parameter != '\0' && (parameter[1] == '*' || parameter[1] == '?');
    if (*parameter != '\0' && *parameter != '?' && !rest)
        return template_fail(run, "wrong number of args for %s: got %zu", function->name, count);
    *result = (struct template_value){0};
    return function->call(run, arguments, count, result);
}

/* The value of an operand that is not a function with arguments. */
static bool eval_operand(struct template_run *run, const struct template_operand *operand,
                         const struct template_value *dot, const struct template_value *argument,
                         struct template_value *value)
{
    bool ok = true;
    switch (operand->kind) {
    case OPERAND_DOT:
    case OPERAND_FIELD:
        *value = *dot;
        break;
    case OPERAND_VARIABLE:
        ok = variable_of(run, operand->name, value);
        break;
    case OPERAND_CONSTANT:
        *value = operand->constant;
        break;
    case OPERAND_PIPE:
        ok = eval_pipe(run, operand->pipe, dot, value);
        break;
    case OPERAND_FUNCTION:
        ok = call_function(run, operand->function, NULL, 0, value);
        break;
    }
    for (size_t i = 0; ok && i < operand->field_count; i++)
        ok = field_of(run, operand->fields[i], i + 1 == operand->field_count ? argument : NULL,
                      value);
    return ok;
}

/* and, or: later operands are not evaluated when an earlier one decides. */
static bool decides(const struct template_function *function, const struct template_value *value)
{
    if (strcmp(function->name, "and") == 0)
        return !template_truth(value);
    return strcmp(function->name, "or") == 0 && template_truth(value);
}

static bool eval_command(struct template_run *run, const struct template_command *command,
                         const struct template_value *dot, const struct template_value *piped,
                         struct template_value *result)
{
    struct template_value arguments[TEMPLATE_ARGUMENTS_MAX + 1];
    const struct template_operand *first = &command->operands[0];
    size_t count = 0;
    bool function = first->kind == OPERAND_FUNCTION && first->field_count == 0;
    for (size_t i = 1; i < command->count; i++) {
        if (!eval_operand(run, &command->operands[i], dot, NULL, &arguments[count]))
            return false;
        if (function && decides(first->function, &arguments[count])) {
            *result = arguments[count];
            return true;
        }
        count++;
    }
    if (piped)
        arguments[count++] = *piped;
    if (function)
        return call_function(run, first->function, arguments, count, result);
    if (count > 0 && first->field_count == 0)
        return template_fail(run, "can't give argument to non-function");
    if (!eval_operand(run, first, dot, count > 0 ? &arguments[0] : NULL, result))
        return false;
    bool method = slice_equal(first->field_count ? first->fields[first->field_count - 1]
                                                 : (struct slice){NULL, 0},
                              SLICE("Format"));
    return count == 0 || method || template_fail(run, "a field is not a method but has arguments");
}

static bool set_variable(struct template_run *run, struct slice name, bool assign,
                         const struct template_value *value)
{
    for (size_t i = run->variable_count; assign && i-- > 0;) {
        if (slice_equal(run->variables[i].name, name)) {
            run->variables[i].value = *value;
            return true;
        }
    }
    if (assign || run->variable_count == TEMPLATE_VARIABLES_MAX)
        return template_fail(run, "undefined variable, or too many");
    run->variables[run->variable_count].name = name;
    run->variables[run->variable_count++].value = *value;
    return true;
}

static bool eval_pipe(struct template_run *run, const struct template_pipe *pipe,
                      const struct template_value *dot, struct template_value *result)
{
    struct template_value value = {0};
    for (size_t i = 0; i < pipe->count; i++) {
        struct template_value piped = value;
        if (!eval_command(run, &pipe->commands[i], dot, i > 0 ? &piped : NULL, &value))
            return false;
    }
    *result = value;
    return arena_check(run->arena, "a template", run->err);
}

/* ---- nodes --------------------------------------------------------------------------- */

static enum flow run_list(struct template_run *run, const struct template_node *list,
                          const struct template_value *dot);

static enum flow run_item(struct template_run *run, const struct template_node *node,
                          struct template_value key, struct template_value item)
{
    size_t variables = run->variable_count;
    const struct template_pipe *pipe = node->pipe;
    bool ok = true;
    if (pipe->variable_count == 2)
        ok = set_variable(run, pipe->variables[0], false, &key) &&
             set_variable(run, pipe->variables[1], false, &item);
    else if (pipe->variable_count == 1)
        ok = set_variable(run, pipe->variables[0], false, &item);
    enum flow flow = ok ? run_list(run, node->body, &item) : FLOW_FAILED;
    run->variable_count = variables;
    return flow == FLOW_CONTINUE ? FLOW_NEXT : flow;
}

static enum flow run_range(struct template_run *run, const struct template_node *node,
                           const struct template_value *dot)
{
    struct template_value over;
    struct labels labels = {NULL, 0};
    if (!eval_pipe(run, node->pipe, dot, &over))
        return FLOW_FAILED;
    size_t count = over.type == TV_MAP || over.type == TV_LIST ? over.count : 0;
    if (over.type == TV_LABELS) {
        labels = run->input->all(run->input->context, run->arena);
        count = labels.count;
    } else if (over.type != TV_MAP && over.type != TV_LIST && over.type != TV_NIL) {
        template_fail(run, "range can't iterate over a single value");
        return FLOW_FAILED;
    }
    for (size_t i = 0; i < count; i++) {
        struct template_value key = {.type = TV_INT, .integer = (int64_t)i}, item;
        if (over.type == TV_LABELS)
            key = template_text(labels.items[i].name);
        else if (over.type == TV_MAP)
            key = template_text(over.keys[i]);
        item = over.type == TV_LABELS ? template_text(labels.items[i].value) : over.items[i];
        enum flow flow = run_item(run, node, key, item);
        if (flow == FLOW_FAILED)
            return flow;
        if (flow == FLOW_BREAK)
            break;
    }
    return count > 0 ? FLOW_NEXT : run_list(run, node->otherwise, dot);
}

static enum flow run_branch(struct template_run *run, const struct template_node *node,
                            const struct template_value *dot)
{
    struct template_value value;
    size_t variables = run->variable_count;
    if (!eval_pipe(run, node->pipe, dot, &value))
        return FLOW_FAILED;
    if (node->pipe->variable_count == 1 &&
        !set_variable(run, node->pipe->variables[0], node->pipe->assigns, &value))
        return FLOW_FAILED;
    bool truth = template_truth(&value);
    const struct template_value *inner = truth && node->kind == TN_WITH ? &value : dot;
    enum flow flow = run_list(run, truth ? node->body : node->otherwise, inner);
    run->variable_count = variables;
    return flow;
}

static enum flow run_template(struct template_run *run, const struct template_node *node,
                              const struct template_value *dot)
{
    const struct template_definition *definition = run->t->definitions;
    while (definition && !slice_equal(definition->name, node->text))
        definition = definition->next;
    struct template_value value = {0};
    if (definition == NULL || run->depth >= TEMPLATE_DEPTH_MAX) {
        template_fail(run,
                      definition ? "exceeded maximum template depth" : "template is not defined");
        return FLOW_FAILED;
    }
    if (node->pipe && !eval_pipe(run, node->pipe, dot, &value))
        return FLOW_FAILED;
    run->depth++;
    enum flow flow = run_list(run, definition->body, &value);
    run->depth--;
    return flow;
}

static enum flow run_action(struct template_run *run, const struct template_pipe *pipe,
                            const struct template_value *dot)
{
    struct template_value value;
    if (!eval_pipe(run, pipe, dot, &value))
        return FLOW_FAILED;
    if (pipe->variable_count > 0)
        return set_variable(run, pipe->variables[0], pipe->assigns, &value) ? FLOW_NEXT
                                                                            : FLOW_FAILED;
    template_print(run->out, &value, false);
    return buffer_check(run->out, "a template's result", run->err) ? FLOW_NEXT : FLOW_FAILED;
}

static enum flow run_node(struct template_run *run, const struct template_node *node,
                          const struct template_value *dot)
{
    switch (node->kind) {
    case TN_TEXT:
        buffer_append_slice(run->out, node->text);
        return FLOW_NEXT;
    case TN_ACTION:
        return run_action(run, node->pipe, dot);
    case TN_IF:
    case TN_WITH:
        return run_branch(run, node, dot);
    case TN_RANGE:
        return run_range(run, node, dot);
    case TN_TEMPLATE:
        return run_template(run, node, dot);
    case TN_BREAK:
        return FLOW_BREAK;
    case TN_CONTINUE:
        return FLOW_CONTINUE;
    }
    return FLOW_NEXT;
}

static enum flow run_list(struct template_run *run, const struct template_node *list,
                          const struct template_value *dot)
{
    enum flow flow = FLOW_NEXT;
    size_t variables = run->variable_count;
    for (; list && flow == FLOW_NEXT; list = list->next) {
        if (++run->steps > TEMPLATE_STEPS_MAX) {
            error_set(run->err, ERR_LIMIT, "a template takes more than %d steps, the limit",
                      TEMPLATE_STEPS_MAX);
            return FLOW_FAILED;
        }
        flow = run_node(run, list, dot);
    }
    if (run->depth > 0 || flow != FLOW_NEXT)
        run->variable_count = variables;
    return flow;
}

bool template_run(const struct text_template *t, const struct template_input *input,
                  struct arena *scratch, struct buffer *out, struct error *err)
{
    struct error local = {0};
    struct template_run run = {.t = t, .input = input, .arena = scratch, .out = out, .err = &local};
    struct template_value dot = {.type = TV_LABELS};
    bool ok = run_list(&run, t->body, &dot) != FLOW_FAILED &&
              buffer_check(out, "a template's result", &local);
    if (!ok && err)
        *err = local;
    return ok;
}
