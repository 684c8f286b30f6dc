/* SPDX-License-Identifier: Apache-2.0 */
/* Libraries that are opened at run time: absent is an ordinary answer. A library stays loaded for the process. */
#ifndef SPT_VARIANTS_LIBRARY_H
#define SPT_VARIANTS_LIBRARY_H

/* Open the first of the NULL-terminated names that exists. NULL when none does. Threads: safe. */
void *spt_library_open(const char *const *names);

/* The address of a symbol, NULL when the library is NULL or lacks it. Copy it into a function pointer. */
void *spt_library_symbol(void *library, const char *name);

#endif
