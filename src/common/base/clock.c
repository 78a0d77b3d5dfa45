/* Reading the clocks, writing times, sleeping. */
#include "common/base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EARLIEST_MS INT64_C(-62167219200000) /* 0000-01-01T00:00:00.000Z */

static int64_t read_ms(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_epoch_ms(void) {
    return read_ms(CLOCK_REALTIME);
}

int64_t clock_mono_ms(void) {
    return read_ms(CLOCK_MONOTONIC);
}

int64_t clock_mono_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void put_digits(char *out, int value, int digits) {
    while (digits > 0) {
        out[--digits] = (char)('0' + value % 10);
        value /= 10;
    }
}

void clock_format(int64_t epoch_ms, char text[static TIME_TEXT_SIZE]) {
    /* RFC 3339 has four digits for the year. */
    if (epoch_ms < EARLIEST_MS)
        epoch_ms = EARLIEST_MS;
    if (epoch_ms > CLOCK_LATEST_MS)
        epoch_ms = CLOCK_LATEST_MS;

    int64_t ms = (epoch_ms % 1000 + 1000) % 1000;
    time_t seconds = (epoch_ms - ms) / 1000;
    struct tm utc;
    gmtime_r(&seconds, &utc);

    memcpy(text, "0000-00-00T00:00:00.000Z", TIME_TEXT_SIZE);
    put_digits(text, utc.tm_year + 1900, 4);
    put_digits(text + 5, utc.tm_mon + 1, 2);
    put_digits(text + 8, utc.tm_mday, 2);
    put_digits(text + 11, utc.tm_hour, 2);
    put_digits(text + 14, utc.tm_min, 2);
    put_digits(text + 17, utc.tm_sec, 2);
    put_digits(text + 20, (int)ms, 3);
}

bool clock_parse(const char *text, int64_t *epoch_ms) {
    struct tm utc = {0};
    char again[TIME_TEXT_SIZE];
    const char *fraction = strptime(text, "%Y-%m-%dT%H:%M:%S", &utc);
    if (!fraction || *fraction != '.')
        return false;
    long ms = strtol(fraction + 1, NULL, 10);
    if (ms < 0 || ms > 999)
        return false;
    *epoch_ms = (int64_t)timegm(&utc) * 1000 + ms;
    clock_format(*epoch_ms, again); /* the same text, unless it was not quite of this form */
    return strcmp(again, text) == 0;
}

/* Reads count digits, whose number must be from least to most. Moves *text behind them. */
static bool read_digits(const char **text, int count, int least, int most, int *out) {
    int value = 0;
    for (int i = 0; i < count; i++, (*text)++) {
        if (**text < '0' || **text > '9')
            return false;
        value = value * 10 + (**text - '0');
    }
    *out = value;
    return value >= least && value <= most;
}

static bool read_char(const char **text, const char *any_of) {
    bool good = **text && strchr(any_of, **text);
    *text += good;
    return good;
}

static bool read_date_and_time(const char **text, struct tm *utc) {
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = 0;
    bool good = read_digits(text, 4, 0, 9999, &year) && read_char(text, "-") &&
                read_digits(text, 2, 1, 12, &utc->tm_mon) && read_char(text, "-") &&
                read_digits(text, 2, 1, days[utc->tm_mon - 1], &utc->tm_mday) && read_char(text, "Tt") &&
                read_digits(text, 2, 0, 23, &utc->tm_hour) && read_char(text, ":") &&
                read_digits(text, 2, 0, 59, &utc->tm_min) && read_char(text, ":") &&
                read_digits(text, 2, 0, 60, &utc->tm_sec);
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    utc->tm_year = year - 1900;
    utc->tm_mon--;
    return good && (utc->tm_mon != 1 || utc->tm_mday < 29 || leap);
}

/* The milliseconds of ".123456". A text without a fraction has none. */
static bool read_fraction(const char **text, bool up, int64_t *ms) {
    *ms = 0;
    if (!read_char(text, "."))
        return true;
    bool more = false;
    int digits = 0, digit;
    for (; digits < 9 && read_digits(text, 1, 0, 9, &digit); digits++) {
        if (digits < 3)
            *ms = *ms * 10 + digit;
        else
            more |= digit > 0;
    }
    for (int i = digits; i < 3; i++)
        *ms *= 10;
    *ms += more && up;
    return digits > 0;
}

static bool read_offset(const char **text, int64_t *minutes) {
    int hour, minute;
    *minutes = 0;
    if (read_char(text, "Zz"))
        return true;
    int sign = **text == '-' ? -1 : 1;
    if (!read_char(text, "+-") || !read_digits(text, 2, 0, 23, &hour) || !read_char(text, ":") ||
        !read_digits(text, 2, 0, 59, &minute))
        return false;
    *minutes = sign * (hour * 60 + minute);
    return true;
}

bool clock_parse_any(const char *text, bool up, int64_t *epoch_ms) {
    struct tm utc = {0};
    int64_t ms, minutes;
    if (!read_date_and_time(&text, &utc) || !read_fraction(&text, up, &ms) || !read_offset(&text, &minutes) ||
        *text)
        return false;
    int64_t all = ((int64_t)timegm(&utc) - minutes * 60) * 1000 + ms;
    *epoch_ms = all < 0 ? 0 : all > CLOCK_LATEST_MS ? CLOCK_LATEST_MS : all;
    return true;
}

void clock_mono_after(int64_t ms, struct timespec *out) {
    clock_gettime(CLOCK_MONOTONIC, out);
    out->tv_sec += ms / 1000;
    out->tv_nsec += ms % 1000 * 1000000;
    if (out->tv_nsec >= 1000000000) {
        out->tv_sec++;
        out->tv_nsec -= 1000000000;
    }
}

void clock_cond_init(pthread_cond_t *cond) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

void clock_sleep_ms(int64_t ms) {
    if (ms <= 0)
        return;
    struct timespec end;
    clock_mono_after(ms, &end);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL) == EINTR)
        continue;
}
