/* log_pending.c - the log side's symbols until its files are there: everything is refused. */
#include "base/buffer.h"
#include "base/error.h"
#include "query/dialect.h"
#include "query/eval.h"
#include "query/function.h"
#include "query/log_query.h"
#include "query/parse.h"

static bool refuse(struct evaluation *ev, const struct node *selector, const struct node *call,
                   const double *const *parameters, const struct grid *grid, struct sink *sink,
                   struct error *err)
{
    (void)ev, (void)selector, (void)call, (void)parameters, (void)grid, (void)sink;
    return error_set(err, ERR_UNSUPPORTED, "log selectors are not supported yet");
}

const struct leaf_ops leaf_log = {refuse};
const struct function log_range_functions[] = {{.name = {"", 0}}};
const size_t log_range_function_count = 0;

static struct node *parse_selector(struct parser *p, struct error *err)
{
    return parser_fail(p, p->token.start, err, "log selectors are not supported yet");
}

static void parse_error_prefix(struct error *err, int line, int column)
{
    error_prefix(err, "parse error at line %d, col %d", line, column);
}

const struct dialect dialect_logql = {
    .name = "LogQL",
    .parse_selector = parse_selector,
    .parse_error_prefix = parse_error_prefix,
    .empty_selector_text = "at least one matcher must not match the empty text",
};

struct node *parser_log_selector(struct parser *p, struct node *selector, struct error *err)
{
    (void)selector;
    return parse_selector(p, err);
}

void pipeline_print(const struct pipeline *pipeline, struct buffer *out)
{
    (void)pipeline, (void)out;
}

bool log_query_run(struct evaluation *ev, const struct node *root, struct query_result *result,
                   struct error *err)
{
    (void)ev, (void)root, (void)result;
    return error_set(err, ERR_UNSUPPORTED, "log queries are not supported yet");
}
