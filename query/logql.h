/*
 * logql.h - what LogQL's files share: its table of plain functions.
 */
#ifndef QUERY_LOGQL_H
#define QUERY_LOGQL_H

#include "query/function.h"

enum { LOGQL_FUNCTION_COUNT = 2 };
extern const struct function logql_functions[LOGQL_FUNCTION_COUNT];

#endif
