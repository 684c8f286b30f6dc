/* SPDX-License-Identifier: Apache-2.0 */
/* Reading PTX: words, then statements, then functions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/simt/ptx_state.h"

enum { WORD_MAX = 64, N_SLOTS = 4096, LABELS_MAX = 64, LOCALS_MAX = 16 };

static const char *const op_names[PTX_N_OPS] = {
    [PTX_MOV] = "mov",
    [PTX_ADD_U32] = "add.u32",
    [PTX_ADD_U64] = "add.u64",
    [PTX_ADD_F32] = "add.f32",
    [PTX_SUB_U32] = "sub.u32",
    [PTX_MIN_U32] = "min.u32",
    [PTX_MAX_F32] = "max.f32",
    [PTX_FMA_F32] = "fma.rn.f32",
    [PTX_MAD_LO_U32] = "mad.lo.u32",
    [PTX_MAD_LO_U64] = "mad.lo.u64",
    [PTX_MAD_WIDE_U32] = "mad.wide.u32",
    [PTX_DIV_U32] = "div.u32",
    [PTX_SETP_LT_U32] = "setp.lt.u32",
    [PTX_SETP_GE_U32] = "setp.ge.u32",
    [PTX_SETP_EQ_U32] = "setp.eq.u32",
    [PTX_SETP_NE_U32] = "setp.ne.u32",
    [PTX_AND_PRED] = "and.pred",
    [PTX_BRA] = "bra",
    [PTX_BAR_SYNC] = "bar.sync",
    [PTX_EXIT] = "exit",
    [PTX_CALL] = "call",
    [PTX_LD_PARAM] = "ld.param",
    [PTX_ST_PARAM] = "st.param",
    [PTX_LD_GLOBAL_U64] = "ld.global.u64",
    [PTX_LD_GLOBAL_NC_32] = "ld.global.nc",
    [PTX_LD_GLOBAL_NC_V4_F32] = "ld.global.nc.v4.f32",
    [PTX_ST_GLOBAL_F32] = "st.global.f32",
    [PTX_LD_SHARED_F32] = "ld.shared.f32",
    [PTX_ST_SHARED_F32] = "st.shared.f32",
};
/* Spellings of one operation of several types. */
static const struct {
    const char *name;
    ptx_op op;
} spellings[] = {
    {"mov.u32", PTX_MOV},
    {"mov.u64", PTX_MOV},
    {"mov.f32", PTX_MOV},
    {"ld.param.u32", PTX_LD_PARAM},
    {"ld.param.u64", PTX_LD_PARAM},
    {"st.param.u32", PTX_ST_PARAM},
    {"st.param.u64", PTX_ST_PARAM},
    {"ld.global.nc.f32", PTX_LD_GLOBAL_NC_32},
    {"ld.global.nc.u32", PTX_LD_GLOBAL_NC_32},
};
static const char *const special_names[PTX_N_SPECIALS] = {"%tid.x",    "%tid.y",    "%ctaid.x", "%ctaid.y",
                                                          "%nctaid.x", "%nctaid.y", "%ctaid.z"};

typedef struct name_slot {
    char name[WORD_MAX];
    int index;
} name_slot;

typedef struct reader {
    const char *at, *end;
    int line;
    char word[WORD_MAX];
    ptx_program *program;
    ptx_function *function;
    int capacity;
    name_slot registers[N_SLOTS];
    char params[PTX_PARAMS_MAX][WORD_MAX], locals[LOCALS_MAX][WORD_MAX];
    int n_locals;
    struct {
        char name[WORD_MAX];
        int target; /* -1: not met yet */
    } labels[LABELS_MAX];
    int n_labels;
    char *error;
    jmp_buf failed;
} reader;

const char *ptx_op_name(ptx_op op) {
    return op_names[op];
}

static void stop(reader *self, const char *format, ...) {
    char text[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(self->error, SIMT_ERROR_MAX, "line %d: %s", self->line, text);
    longjmp(self->failed, 1);
}

/* ---- words ---- */

static bool is_word_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '%' ||
           c == '.' || c == '-';
}

/* The next word, or one character of punctuation; "" at the end. */
static const char *next(reader *self) {
    size_t length = 0;
    while (self->at < self->end && (*self->at == ' ' || *self->at == '\n')) {
        self->line += *self->at == '\n';
        self->at++;
    }
    while (self->at < self->end && is_word_character(*self->at)) {
        if (length + 1 == WORD_MAX)
            stop(self, "a word is too long");
        self->word[length++] = *self->at++;
    }
    if (length == 0 && self->at < self->end)
        self->word[length++] = *self->at++;
    self->word[length] = '\0';
    return self->word;
}

static bool is(const reader *self, const char *word) {
    return strcmp(self->word, word) == 0;
}

static void expect(reader *self, const char *word) {
    if (strcmp(next(self), word) != 0)
        stop(self, "expected '%s', found '%s'", word, self->word);
}

static char peek(reader *self) {
    const char *at = self->at;
    while (at < self->end && (*at == ' ' || *at == '\n'))
        at++;
    return at < self->end ? *at : '\0';
}

/* ---- names ---- */

static name_slot *slot_of(reader *self, const char *name) {
    unsigned hash = 5381;
    for (const char *c = name; *c != '\0'; c++)
        hash = hash * 33 + (unsigned char)*c;
    for (int i = 0; i < N_SLOTS; i++) {
        name_slot *slot = &self->registers[(hash + (unsigned)i) % N_SLOTS];
        if (slot->name[0] == '\0' || strcmp(slot->name, name) == 0)
            return slot;
    }
    stop(self, "too many registers");
    return NULL;
}

static void declare_register(reader *self, const char *name) {
    name_slot *slot = slot_of(self, name);
    if (slot->name[0] != '\0')
        stop(self, "register %s is declared twice", name);
    if (strlen(name) >= sizeof slot->name)
        stop(self, "a name is too long");
    memcpy(slot->name, name, strlen(name) + 1);
    slot->index = self->function->n_registers++;
}

/* .reg .type %a<5>, %b; */
static void read_registers(reader *self) {
    next(self);
    do {
        char name[WORD_MAX], numbered[WORD_MAX + 12];
        snprintf(name, sizeof name, "%s", next(self));
        if (name[0] != '%')
            stop(self, "expected a register, found %s", name);
        if (peek(self) != '<') {
            declare_register(self, name);
        } else {
            expect(self, "<");
            const int count = atoi(next(self));
            expect(self, ">");
            for (int i = 0; i < count; i++) {
                snprintf(numbered, sizeof numbered, "%s%d", name, i);
                declare_register(self, numbered);
            }
        }
        next(self);
    } while (is(self, ","));
    if (!is(self, ";"))
        stop(self, "expected ';' after registers, found %s", self->word);
}

static int label_of(reader *self, const char *name) {
    for (int i = 0; i < self->n_labels; i++)
        if (strcmp(self->labels[i].name, name) == 0)
            return i;
    if (self->n_labels == LABELS_MAX)
        stop(self, "too many labels");
    snprintf(self->labels[self->n_labels].name, WORD_MAX, "%s", name);
    self->labels[self->n_labels].target = -1;
    return self->n_labels++;
}

static int place_of(reader *self, char list[][WORD_MAX], int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (strcmp(list[i], name) == 0)
            return i;
    stop(self, "unknown name %s", name);
    return -1;
}

static int register_of(reader *self, const char *name) {
    const name_slot *slot = slot_of(self, name);
    if (slot->name[0] == '\0')
        stop(self, "unknown register %s", name);
    return slot->index;
}

/* ---- operands ---- */

static int64_t number_of(reader *self, const char *word) {
    char *end;
    const int64_t number =
        strncmp(word, "0f", 2) == 0 ? (int64_t)strtoull(word + 2, &end, 16) : (int64_t)strtoll(word, &end, 10);
    if (*end != '\0' || (strncmp(word, "0f", 2) == 0 && strlen(word) != 10))
        stop(self, "expected a number, found %s", word);
    return number;
}

static ptx_operand value_operand(reader *self, const char *word) {
    for (int i = 0; i < PTX_N_SPECIALS; i++)
        if (strcmp(word, special_names[i]) == 0)
            return (ptx_operand){PTX_SPECIAL, i, 0};
    if (word[0] == '%')
        return (ptx_operand){PTX_REGISTER, register_of(self, word), 0};
    if (strcmp(word, "spt_table") == 0)
        return (ptx_operand){PTX_TABLE, 0, 0};
    if (strcmp(word, "spt_sums") == 0)
        return (ptx_operand){PTX_SHARED, 0, 0};
    return (ptx_operand){PTX_NUMBER, 0, number_of(self, word)};
}

/* [name], [register] or [register+offset]; the bracket is read already. */
static ptx_operand memory_operand(reader *self, ptx_op op) {
    ptx_operand operand = {.kind = PTX_MEMORY};
    next(self);
    if (op == PTX_LD_PARAM)
        operand = (ptx_operand){PTX_PARAM, place_of(self, self->params, self->function->n_params, self->word), 0};
    else if (op == PTX_ST_PARAM)
        operand = (ptx_operand){PTX_PARAM, place_of(self, self->locals, self->n_locals, self->word), 0};
    else
        operand.index = register_of(self, self->word);
    next(self);
    if (is(self, "+")) {
        operand.number = number_of(self, next(self));
        next(self);
    }
    if (!is(self, "]"))
        stop(self, "expected ']', found '%s'", self->word);
    return operand;
}

static void add_operand(reader *self, ptx_instruction *instruction, ptx_operand operand) {
    if (instruction->n_operands == PTX_OPERANDS_MAX)
        stop(self, "too many operands");
    instruction->operands[instruction->n_operands++] = operand;
}

static void read_operands(reader *self, ptx_instruction *instruction) {
    for (next(self); !is(self, ";"); next(self)) {
        if (is(self, ",") || is(self, "{") || is(self, "}"))
            continue;
        add_operand(self, instruction,
                    is(self, "[") ? memory_operand(self, instruction->op) : value_operand(self, self->word));
    }
}

/* call %f, (a0, a1), PROTOTYPE: the arguments are the locals in their order. */
static void read_call(reader *self, ptx_instruction *instruction) {
    add_operand(self, instruction, value_operand(self, next(self)));
    expect(self, ",");
    expect(self, "(");
    for (int i = 0; i < self->n_locals; i++) {
        expect(self, self->locals[i]);
        expect(self, i + 1 < self->n_locals ? "," : ")");
    }
    expect(self, ",");
    next(self);
    expect(self, ";");
}

/* ---- statements ---- */

static ptx_op op_of(reader *self, const char *word) {
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++)
        if (strcmp(word, spellings[i].name) == 0)
            return spellings[i].op;
    for (int op = 0; op < PTX_N_OPS; op++)
        if (op != PTX_MOV && op != PTX_LD_PARAM && op != PTX_ST_PARAM && op != PTX_LD_GLOBAL_NC_32 &&
            strcmp(word, op_names[op]) == 0)
            return (ptx_op)op;
    stop(self, "unknown instruction %s", word);
    return PTX_N_OPS;
}

static void read_instruction(reader *self) {
    ptx_function *function = self->function;
    if (function->n_instructions == self->capacity) {
        self->capacity = self->capacity > 0 ? 2 * self->capacity : 1024;
        function->instructions = realloc(function->instructions, (size_t)self->capacity * sizeof(ptx_instruction));
    }
    ptx_instruction *instruction = &function->instructions[function->n_instructions++];
    *instruction = (ptx_instruction){.line = self->line, .guard = -1};
    if (is(self, "@")) {
        instruction->guard = register_of(self, next(self));
        next(self);
    }
    instruction->op = op_of(self, self->word);
    self->program->counts[instruction->op]++;
    if (instruction->op == PTX_BRA) {
        instruction->target = label_of(self, next(self));
        expect(self, ";");
    } else if (instruction->op == PTX_CALL) {
        read_call(self, instruction);
    } else {
        read_operands(self, instruction);
    }
}

static void skip_to(reader *self, const char *word) {
    while (strcmp(next(self), word) != 0)
        if (is(self, ""))
            stop(self, "expected '%s', found the end", word);
}

static void read_body(reader *self) {
    int depth = 1;
    for (next(self); depth > 0; depth > 0 ? next(self) : NULL) {
        if (is(self, "{")) {
            depth++;
        } else if (is(self, "}")) {
            depth--;
        } else if (is(self, ".reg")) {
            read_registers(self);
        } else if (is(self, ".param")) {
            next(self);
            if (self->n_locals == LOCALS_MAX)
                stop(self, "too many arguments");
            snprintf(self->locals[self->n_locals++], WORD_MAX, "%s", next(self));
            expect(self, ";");
        } else if (peek(self) == ':') {
            const int label = label_of(self, self->word);
            expect(self, ":");
            if (self->labels[label].target >= 0)
                stop(self, "label %s stands twice", self->labels[label].name);
            self->labels[label].target = self->function->n_instructions;
            if (peek(self) == '.')
                skip_to(self, ";"); /* a prototype */
        } else if (is(self, "")) {
            stop(self, "expected '}', found the end");
        } else {
            read_instruction(self);
        }
    }
}

/* ---- the outside ---- */

static void read_params(reader *self) {
    expect(self, "(");
    do {
        expect(self, ".param");
        next(self);
        if (self->function->n_params == PTX_PARAMS_MAX)
            stop(self, "too many parameters");
        snprintf(self->params[self->function->n_params++], WORD_MAX, "%s", next(self));
        next(self);
    } while (is(self, ","));
    if (!is(self, ")"))
        stop(self, "expected ')', found '%s'", self->word);
}

static void read_function(reader *self, bool is_entry) {
    ptx_program *program = self->program;
    if (program->n_functions == program->capacity) {
        program->capacity = program->capacity > 0 ? 2 * program->capacity : 64;
        program->functions = realloc(program->functions, (size_t)program->capacity * sizeof *program->functions);
    }
    self->function = &program->functions[program->n_functions++];
    *self->function = (ptx_function){.is_entry = is_entry};
    self->capacity = self->n_labels = self->n_locals = 0;
    memset(self->registers, 0, sizeof self->registers);
    if (strlen(next(self)) >= PTX_NAME_MAX)
        stop(self, "a name is too long");
    snprintf(self->function->name, PTX_NAME_MAX, "%.47s", self->word);
    read_params(self);
    skip_to(self, "{");
    read_body(self);
    for (int i = 0; i < self->function->n_instructions; i++) {
        ptx_instruction *instruction = &self->function->instructions[i];
        if (instruction->op != PTX_BRA)
            continue;
        if (self->labels[instruction->target].target < 0)
            stop(self, "label %s is missing", self->labels[instruction->target].name);
        instruction->target = self->labels[instruction->target].target;
    }
}

/* .global .align 8 .u64 spt_table[3] = { a, b, c }; */
static void read_table(reader *self) {
    ptx_program *program = self->program;
    skip_to(self, "=");
    expect(self, "{");
    for (next(self); !is(self, "}"); next(self)) {
        if (is(self, ","))
            continue;
        if (program->n_table == (int)(sizeof program->table / sizeof program->table[0]))
            stop(self, "the table is too long");
        snprintf(program->table[program->n_table++], PTX_NAME_MAX, "%.40s", self->word);
    }
    expect(self, ";");
}

static void read_program(reader *self) {
    while (*next(self) != '\0') {
        if (is(self, ".version") || is(self, ".target") || is(self, ".address_size"))
            next(self);
        else if (is(self, ".extern"))
            skip_to(self, ";");
        else if (is(self, ".global"))
            read_table(self);
        else if (is(self, ".entry") || is(self, ".func"))
            read_function(self, is(self, ".entry"));
        else if (!is(self, ".visible"))
            stop(self, "unknown directive %s", self->word);
    }
}

ptx_program *ptx_parse(const char *text, size_t bytes, char error[SIMT_ERROR_MAX]) {
    reader *self = calloc(1, sizeof *self);
    self->at = text;
    self->end = text + bytes;
    self->line = 1;
    self->error = error;
    self->program = calloc(1, sizeof *self->program);
    if (setjmp(self->failed) != 0) {
        ptx_free(self->program);
        free(self);
        return NULL;
    }
    read_program(self);
    ptx_program *program = self->program;
    free(self);
    return program;
}

void ptx_free(ptx_program *program) {
    for (int i = 0; i < program->n_functions; i++)
        free(program->functions[i].instructions);
    free(program->functions);
    free(program);
}

int64_t ptx_count(const ptx_program *program, const char *instruction) {
    for (int op = 0; op < PTX_N_OPS; op++)
        if (strcmp(op_names[op], instruction) == 0)
            return program->counts[op];
    return -1;
}

const ptx_function *ptx_find(const ptx_program *program, const char *name) {
    for (int i = 0; i < program->n_functions; i++)
        if (strcmp(program->functions[i].name, name) == 0)
            return &program->functions[i];
    return NULL;
}
