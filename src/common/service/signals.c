/* Signals: by default nearly each of them ends a process, without a word and without draining it. */
#include "signals.h"

#include <stddef.h>

sigset_t signals_to_stop(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    return signals;
}

sigset_t signals_to_take(void) {
    sigset_t signals = signals_to_stop();
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGUSR2);
    return signals;
}

void signals_prepare(void) {
    /* Of timers that we do not set, of descriptors that we do not watch, of a power supply and of limits on processor
     * time. Of a broken pipe and of a file that may not grow the call that writes tells. */
    static const int ignored[] = {SIGPIPE, SIGXFSZ, SIGALRM,   SIGVTALRM, SIGPROF,
                                  SIGIO,   SIGPWR,  SIGSTKFLT, SIGXCPU};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        (void)signal(ignored[i], SIG_IGN);
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
        (void)signal(number, SIG_IGN);
    sigset_t taken = signals_to_take();
    pthread_sigmask(SIG_BLOCK, &taken, NULL); /* every thread inherits it */
}
