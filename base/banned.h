/*
 * banned.h - calls that must not compile.
 *
 * The build forces this header into every file.  Each banned name has a safe
 * counterpart: slices and buffers instead of NUL-terminated copying, the
 * parsers of base/number.h instead of atoi and sscanf, the _r functions
 * instead of shared static state.
 */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy strcat strncpy strncat strtok atoi atol atoll
#undef alloca /* these three may be macros */
#undef sprintf
#undef vsprintf
#pragma GCC poison sprintf vsprintf gets gmtime localtime asctime ctime alloca
#pragma GCC poison scanf sscanf fscanf setlocale

#endif
