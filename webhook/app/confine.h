/* What the process gives up once it serves: privileges that it could gain, and every
 * system call that it does not need (syscalls.def). There is no way back. */
#ifndef NRW_APP_CONFINE_H
#define NRW_APP_CONFINE_H

enum confine_result {
    CONFINE_NOT_WANTED,  /* for confine_text() only */
    CONFINE_ON,          /* in force for every thread, and for those to come */
    CONFINE_NOT_KNOWN,   /* no filter for this architecture */
    CONFINE_SANITIZER,   /* the address and thread sanitizers need more than we do */
    CONFINE_NOT_ALLOWED, /* the kernel refused; errno says why */
};

/* Puts the filter on all threads of the process, running ones included. Call it when all
 * is set up: afterwards nothing listens anew, no file is written, nothing becomes
 * executable and no program is started. */
enum confine_result confine_process(void);

/* "on", or "off: …", for the log. */
const char *confine_text(enum confine_result result);

#endif
