/* Dates of HTTP in their three forms (RFC 9110 section 5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT",
 * "Sunday, 06-Nov-94 08:49:37 GMT" and "Sun Nov  6 08:49:37 1994". base/clock.h writes the first.
 * Pure. Threads: any. */
#ifndef GALLEY_SERVER_HTTP_DATE_H
#define GALLEY_SERVER_HTTP_DATE_H

#include "base/slice.h"

/* The moment in milliseconds since 1970. Strict: letters in their case, no other zone, and a day
 * that exists; the name of the weekday is not compared. A year of two digits is in the hundred
 * years that end 50 years after `now_ms`. False for anything else. */
bool http_date_parse(struct slice text, int64_t now_ms, int64_t *out_ms);

#endif
