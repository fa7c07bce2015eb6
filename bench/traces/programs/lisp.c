/* A small Lisp, to be recorded with its stores (tools/record --stores).
 *
 * Everything is a cell from malloc, nothing is ever freed: which cell dies when is for reachability
 * to say. The machine's registers (expression, environment, continuation, value) are static, and
 * continuations are cells too, so all that is alive hangs from a few roots, as in an interpreter that
 * has a collector.
 *
 *     lisp < program.lisp        the value of every expression that is no definition, one a line
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum Tag { PAIR, NUMBER, SYMBOL, PRIMITIVE, CLOSURE, FRAME };
enum FrameKind { THEN_IF, THEN_DEFINE, THEN_SET, THEN_BEGIN, THEN_ARGUMENTS };

typedef struct Cell {
  int tag;
  int kind; /* of a FRAME; number of a PRIMITIVE */
  struct Cell* a;
  struct Cell* b;
  struct Cell* c;
} Cell;

static Cell* expression;
static Cell* environment; /* ((symbol . value) ...) */
static Cell* continuation;
static Cell* value;
static Cell* symbols; /* the list of all; a symbol's value is its b, its name its c */
static Cell *s_quote, *s_if, *s_lambda, *s_define, *s_set, *s_begin, *s_true;

static Cell* make(int tag, int kind, Cell* a, Cell* b, Cell* c) {
  Cell* cell = malloc(sizeof(Cell));
  if (!cell) abort();
  cell->tag = tag;
  cell->kind = kind;
  cell->a = a;
  cell->b = b;
  cell->c = c;
  return cell;
}
static Cell* cons(Cell* a, Cell* b) { return make(PAIR, 0, a, b, NULL); }

/* A number lies in a cell of its own, as bits that are no address. */
static Cell* number(long n) {
  Cell* cell = make(NUMBER, 0, NULL, NULL, NULL);
  memcpy(&cell->kind, &(int){(int)n}, sizeof(int));
  return cell;
}
static long number_of(const Cell* cell) {
  if (!cell || cell->tag != NUMBER) {
    fprintf(stderr, "lisp: expected a number\n");
    exit(1);
  }
  return cell->kind;
}
static Cell* pair(Cell* cell) {
  if (!cell || cell->tag != PAIR) {
    fprintf(stderr, "lisp: expected a pair\n");
    exit(1);
  }
  return cell;
}

static Cell* intern(const char* name) {
  for (Cell* at = symbols; at; at = at->b)
    if (strcmp((char*)at->a->c, name) == 0) return at->a;
  char* copy = malloc(strlen(name) + 1);
  strcpy(copy, name);
  symbols = cons(make(SYMBOL, 0, NULL, NULL, (Cell*)copy), symbols);
  return symbols->a;
}

static int peek_char(void) {
  int c = getchar();
  while (c == ';' || isspace(c)) {
    if (c == ';')
      while (c != '\n' && c != EOF) c = getchar();
    else
      c = getchar();
  }
  ungetc(c, stdin);
  return c;
}

static Cell* read_cell(void);
static Cell* read_list(void) {
  if (peek_char() == ')') {
    getchar();
    return NULL;
  }
  Cell* first = read_cell();
  return cons(first, read_list());
}
static Cell* read_cell(void) {
  int c = peek_char();
  if (c == EOF) exit(0);
  if (c == '(') {
    getchar();
    return read_list();
  }
  if (c == '\'') {
    getchar();
    Cell* quoted = read_cell();
    return cons(s_quote, cons(quoted, NULL));
  }
  char text[64];
  size_t length = 0;
  while ((c = getchar()) != EOF && !isspace(c) && c != '(' && c != ')' && length < sizeof text - 1)
    text[length++] = (char)c;
  if (c != EOF) ungetc(c, stdin);
  text[length] = 0;
  char* end;
  const long n = strtol(text, &end, 10);
  return *end == 0 ? number(n) : intern(text);
}

static void print(const Cell* cell) {
  if (!cell) {
    printf("()");
  } else if (cell->tag == NUMBER) {
    printf("%ld", number_of(cell));
  } else if (cell->tag == SYMBOL) {
    printf("%s", (char*)cell->c);
  } else if (cell->tag == PAIR) {
    printf("(");
    for (; cell && cell->tag == PAIR; cell = cell->b) {
      print(cell->a);
      if (cell->b) printf(" ");
    }
    printf(")");
  } else {
    printf("<procedure>");
  }
}

static const char* const primitive_names[] = {"+",   "-",   "*",     "rem",   "<",        "=",
                                              "cons", "car", "cdr",   "null?", "pair?",    "eq?",
                                              "set-car!", "set-cdr!"};

static Cell* truth(int is_true) { return is_true ? s_true : NULL; }

static Cell* call_primitive(int which, Cell* arguments) {
  Cell* x = arguments->a;
  Cell* y = arguments->b ? arguments->b->a : NULL;
  switch (which) {
    case 0: return number(number_of(x) + number_of(y));
    case 1: return number(number_of(x) - number_of(y));
    case 2: return number(number_of(x) * number_of(y));
    case 3: return number(number_of(x) % number_of(y));
    case 4: return truth(number_of(x) < number_of(y));
    case 5: return truth(number_of(x) == number_of(y));
    case 6: return cons(x, y);
    case 7: return pair(x)->a;
    case 8: return pair(x)->b;
    case 9: return truth(!x);
    case 10: return truth(x && x->tag == PAIR);
    case 11: return truth(x == y);
    case 12: pair(x)->a = y; return x;
    default: pair(x)->b = y; return x;
  }
}

static Cell* binding_of(Cell* symbol) {
  for (Cell* at = environment; at; at = at->b)
    if (at->a->a == symbol) return at->a;
  return NULL;
}

static void push_frame(int kind, Cell* a, Cell* b) {
  continuation = make(FRAME, kind, a, cons(environment, b), continuation);
}

/* One expression: either its value is known, or a frame says what to do with the value of a part. */
static int evaluate(void) {
  Cell* e = expression;
  if (!e || (e->tag != PAIR && e->tag != SYMBOL)) {
    value = e;
    return 1;
  }
  if (e->tag == SYMBOL) {
    Cell* binding = binding_of(e);
    value = binding ? binding->b : e->b;
    return 1;
  }
  Cell* head = e->a;
  if (head == s_quote) {
    value = e->b->a;
    return 1;
  }
  if (head == s_lambda) {
    value = make(CLOSURE, 0, e->b->a, e->b->b, environment);
    return 1;
  }
  if (head == s_begin) {
    if (e->b->b) push_frame(THEN_BEGIN, e->b->b, NULL);
    expression = e->b->a;
  } else if (head == s_if) {
    push_frame(THEN_IF, e->b->b, NULL);
    expression = e->b->a;
  } else if (head == s_define || head == s_set) {
    push_frame(head == s_define ? THEN_DEFINE : THEN_SET, e->b->a, NULL);
    expression = e->b->b->a;
  } else {
    push_frame(THEN_ARGUMENTS, e->b, NULL);
    expression = head;
  }
  return 0;
}

static int apply(Cell* reversed) {
  Cell* arguments = NULL;
  for (; reversed; reversed = reversed->b) arguments = cons(reversed->a, arguments);
  Cell* procedure = arguments->a;
  arguments = arguments->b;
  if (procedure && procedure->tag == PRIMITIVE) {
    value = call_primitive(procedure->kind, arguments);
    return 1;
  }
  if (!procedure || procedure->tag != CLOSURE) {
    fprintf(stderr, "lisp: expected a procedure\n");
    exit(1);
  }
  environment = procedure->c;
  for (Cell* name = procedure->a; name; name = name->b, arguments = arguments->b)
    environment = cons(cons(name->a, arguments->a), environment);
  expression = procedure->b->b ? cons(s_begin, procedure->b) : procedure->b->a;
  return 0;
}

/* The value goes into the newest frame. 1: the value is known, 0: an expression is to be evaluated. */
static int proceed(void) {
  Cell* frame = continuation;
  continuation = frame->c;
  environment = frame->b->a;
  Cell* done = frame->b->b;
  switch (frame->kind) {
    case THEN_IF: {
      Cell* otherwise = frame->a->b;
      expression = value ? frame->a->a : otherwise ? otherwise->a : NULL;
      return 0;
    }
    case THEN_DEFINE:
      frame->a->b = value;
      value = NULL;
      return 1;
    case THEN_SET: {
      Cell* binding = binding_of(frame->a);
      *(binding ? &binding->b : &frame->a->b) = value;
      return 1;
    }
    case THEN_BEGIN:
      if (frame->a->b) push_frame(THEN_BEGIN, frame->a->b, NULL);
      expression = frame->a->a;
      return 0;
    default:
      done = cons(value, done);
      if (!frame->a) return apply(done);
      push_frame(THEN_ARGUMENTS, frame->a->b, done);
      expression = frame->a->a;
      return 0;
  }
}

static void run(void) {
  int is_known = 0;
  environment = NULL;
  for (;;) {
    if (!is_known)
      is_known = evaluate();
    else if (continuation)
      is_known = proceed();
    else
      return;
  }
}

int main(void) {
  s_quote = intern("quote");
  s_if = intern("if");
  s_lambda = intern("lambda");
  s_define = intern("define");
  s_set = intern("set!");
  s_begin = intern("begin");
  s_true = intern("t");
  s_true->b = s_true;
  for (size_t i = 0; i < sizeof primitive_names / sizeof *primitive_names; ++i)
    intern(primitive_names[i])->b = make(PRIMITIVE, (int)i, NULL, NULL, NULL);
  for (;;) {
    expression = read_cell();
    const int is_definition = expression && expression->tag == PAIR && expression->a == s_define;
    run();
    if (is_definition) continue;
    print(value);
    printf("\n");
  }
}
