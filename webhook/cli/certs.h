/* The parts of `certs`: certs.c has the others. Main thread. */
#ifndef NRW_CLI_CERTS_H
#define NRW_CLI_CERTS_H

#define CERTS_FILE_MAXIMUM (1024u * 1024u)

/* `certs issue`; argv[0] is "issue". Returns an exit code. */
int cli_certs_issue(int argc, char **argv);

#endif
