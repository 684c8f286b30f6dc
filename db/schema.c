/* SPDX-License-Identifier: Apache-2.0 */
/* The text of schema.sql, embedded by the assembler; the Makefile names the dependency. */
#include "db/migrate.h"

__asm__(".pushsection .rodata\n"
        ".global spt_schema_sql\n"
        ".hidden spt_schema_sql\n"
        ".type spt_schema_sql, %object\n"
        "spt_schema_sql:\n"
        ".incbin \"db/schema.sql\"\n"
        ".byte 0\n"
        ".size spt_schema_sql, . - spt_schema_sql\n"
        ".popsection\n");
