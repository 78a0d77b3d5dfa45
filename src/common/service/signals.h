/* Which signals a daemon takes, and which it ignores. */
#pragma once

#include <signal.h>

/* SIGTERM and SIGINT. */
sigset_t signals_to_stop(void);

/* These, and SIGHUP, SIGUSR1 and SIGUSR2. */
sigset_t signals_to_take(void);

/* Blocks what sigwait takes, and ignores what would end the process for nothing: for all threads that are started from
 * now on. Faults (SIGSEGV), SIGQUIT and SIGABRT still end it, with a core where one is allowed. */
void signals_prepare(void);
