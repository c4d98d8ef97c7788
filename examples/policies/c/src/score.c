#include "score.h"

#include <stdlib.h>

/* The class of the keywords that begin with these two bytes. */
static size_t class_of(const char *two)
{
    return ((uint8_t)two[0] * 7u + (uint8_t)two[1]) % CLASSES;
}

static void add_keyword(struct scorer *scorer, text original, enum kind kind)
{
    policy_string_t lower = text_lower(original);
    size_t *first = &scorer->first[class_of(text_view(lower).at)];
    for (size_t place = *first; place; place = scorer->keywords[place - 1].next) {
        const struct keyword *known = &scorer->keywords[place - 1];
        if (known->kind == kind && text_equal(text_view(known->text), text_view(lower))) {
            policy_string_free(&lower);
            return;
        }
    }
    scorer->keywords[scorer->count++] = (struct keyword){lower, kind, *first};
    *first = scorer->count;
}

struct scorer scorer_new(policy_list_string_t complex, policy_list_string_t simple)
{
    static const char *const creation[] = {"create", "build"};
    constexpr size_t creations = sizeof creation / sizeof *creation;
    struct scorer scorer = {.keywords = allocate(complex.len + simple.len + creations, sizeof(struct keyword))};
    for (size_t i = 0; i < complex.len; i++)
        add_keyword(&scorer, text_view(complex.ptr[i]), COMPLEX);
    for (size_t i = 0; i < simple.len; i++)
        add_keyword(&scorer, text_view(simple.ptr[i]), SIMPLE);
    for (size_t i = 0; i < creations; i++)
        add_keyword(&scorer, text_of(creation[i]), CREATION);
    return scorer;
}

/* Counts the keywords that occur, whatever their case, each once. One pass, as prompts are long and lists are too. */
static void find_keywords(const struct scorer *scorer, text prompt, struct score *score)
{
    bool *seen = allocate(scorer->count, sizeof *seen);
    policy_string_t lowered = text_lower(prompt);
    const text lower = text_view(lowered);
    for (size_t at = 0; at + 1 < lower.length; at++) {
        for (size_t place = scorer->first[class_of(lower.at + at)]; place; place = scorer->keywords[place - 1].next) {
            const struct keyword *keyword = &scorer->keywords[place - 1];
            if (!seen[place - 1] && text_has_at(lower, at, text_view(keyword->text))) {
                seen[place - 1] = true;
                score->found[keyword->kind]++;
            }
        }
    }
    size_t named = 0;
    for (size_t i = 0; i < scorer->count && named < NAMED; i++)
        if (seen[i] && scorer->keywords[i].kind == COMPLEX)
            score->named[named++] = text_view(scorer->keywords[i].text);
    policy_string_free(&lowered);
    free(seen);
}

/* Words that are marks of code, by themselves and in lower case. They begin with c, d, f or i. */
static const text CODE_WORDS[] = {{"def", 3}, {"class", 5}, {"function", 8}, {"import", 6}, {"from", 4}};
enum { CODE_WORD_COUNT = sizeof CODE_WORDS / sizeof *CODE_WORDS };

/* What one pass over a text sees, beside keywords. */
struct marks {
    size_t characters; /* Unicode scalar values */
    size_t questions;
    bool brackets, backticks, words[CODE_WORD_COUNT];
};

static void look_for_words(text prompt, size_t at, struct marks *marks)
{
    for (size_t i = 0; i < CODE_WORD_COUNT; i++)
        if (!marks->words[i] && text_has_at(prompt, at, CODE_WORDS[i]))
            marks->words[i] = text_stands_alone(prompt, at, at + CODE_WORDS[i].length);
}

static struct marks read_marks(text prompt)
{
    struct marks marks = {};
    for (size_t at = 0; at < prompt.length; at++) {
        const uint8_t byte = (uint8_t)prompt.at[at];
        /* All bytes of a character but the first are from 0x80 to 0xBF. */
        marks.characters += (byte & 0xC0) != 0x80;
        switch (byte) {
        case '{': case '}': case '[': case ']': case '(': case ')': case ';':
            marks.brackets = true;
            break;
        case '`':
            marks.backticks = marks.backticks || text_has_at(prompt, at, text_of("```"));
            break;
        case '?':
            marks.questions++;
            break;
        case 'c': case 'd': case 'f': case 'i':
            look_for_words(prompt, at, &marks);
            break;
        }
    }
    return marks;
}

/* Two of the seven marks make it code. */
static bool is_code(const struct marks *marks)
{
    int count = marks->brackets + marks->backticks;
    for (size_t i = 0; i < CODE_WORD_COUNT; i++)
        count += marks->words[i];
    return count >= 2;
}

struct score score_text(const struct scorer *scorer, text prompt)
{
    struct score score = {};
    const struct marks marks = read_marks(prompt);
    find_keywords(scorer, prompt, &score);

    score.length = marks.characters < 100 ? 0.1 : marks.characters < 500 ? 0.3 : 0.5;
    if (score.found[COMPLEX]) {
        const double share = (double)score.found[COMPLEX] * 0.1;
        score.keywords = share < 0.3 ? share : 0.3;
    } else {
        score.keywords = score.found[SIMPLE] ? -0.1 : 0.1;
    }
    score.code = is_code(&marks) ? 0.3 : 0.0;
    if (marks.questions == 1 || marks.questions == 2)
        score.form = -0.1;
    else
        score.form = score.found[CREATION] ? 0.2 : 0.0;

    /* A sum of doubles in this order: on every machine it is the same to the last bit. */
    const double sum = score.length + score.keywords + score.code + score.form;
    score.value = sum < 0.0 ? 0.0 : sum > 1.0 ? 1.0 : sum;
    return score;
}
