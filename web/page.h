/*
 * page.h - the start page as bytes (generated from web/index.html).
 */
#ifndef WEB_PAGE_H
#define WEB_PAGE_H

#include "base/slice.h"

struct slice web_page(void);

#endif
