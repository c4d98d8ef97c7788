/* How demanding a text is: a sum of four shares, from 0 to 1. */
#ifndef SCORE_H
#define SCORE_H

#include "text.h"

/* What a keyword says of a text. */
enum kind { COMPLEX, SIMPLE, CREATION, KINDS };

struct keyword {
    policy_string_t text; /* in lower case */
    enum kind kind;
    size_t next;          /* 1 + the place of another of the same class, or 0 */
};

/* How many classes keywords are spread over by their first two bytes: at most places of a text none can begin. */
enum { CLASSES = 256 };

/* Keywords, ready to be looked for. */
struct scorer {
    struct keyword *keywords;
    size_t count;
    size_t first[CLASSES]; /* 1 + the place of a keyword of the class, or 0 */
};

/* How many of the complex keywords that were found are told by name. */
enum { NAMED = 5 };

struct score {
    double value; /* the sum of the shares, brought into 0 to 1 */
    double length, keywords, code, form;
    size_t found[KINDS]; /* how many keywords, by kind */
    text named[NAMED];   /* the first complex ones, in the order of their list */
};

/* Prepares a search for keywords of two bytes or more. One that is listed twice counts once. */
struct scorer scorer_new(policy_list_string_t complex, policy_list_string_t simple);

struct score score_text(const struct scorer *scorer, text prompt);

#endif
