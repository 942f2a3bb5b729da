/* switch.c: lays out a fresh stack for the assembly switch, or hands all of it to ucontext. */
#include "runtime/switch.h"

#if SWITCH_IS_ASSEMBLY

void reeve_switch(void **save_sp, void *load_sp);
void reeve_switch_entry(void);
void reeve_switch_behind(void *sp, void (*fn)(void *arg), void *arg);

/* As reeve_switch leaves a stack behind, from the stack pointer upwards. */
struct frame {
    uint32_t mxcsr;
    uint32_t x87_control;
    void *r15, *r14, *r13, *r12, *rbx, *rbp;
    void (*return_to)(void);
    void *end; /* the zero return address of the entry */
};

void switch_prepare(struct switch_context *context, void *stack, size_t size,
                    void (*entry)(void *arg), void *arg)
{
    uintptr_t top = ((uintptr_t)stack + size) & ~(uintptr_t)15;
    struct frame *frame;

    /* At reeve_switch_entry the stack pointer must be 16-byte aligned, so that its call leaves it
     * as the ABI wants it at a function's first instruction. */
    frame = (struct frame *)(top - sizeof *frame - 8);
    *frame =
        (struct frame){.mxcsr = 0x1f80, .x87_control = 0x037f, .return_to = reeve_switch_entry};
    frame->r13 = arg;
    *(void (**)(void *)) & frame->r12 = entry;
    context->sp = frame;
}

void switch_to(struct switch_context *from, struct switch_context *to)
{
    reeve_switch(&from->sp, to->sp);
}

bool switch_behind(const struct switch_context *context, void (*fn)(void *arg), void *arg)
{
    reeve_switch_behind(context->sp, fn, arg);
    return true;
}

uintptr_t switch_behind_begin(void)
{
    return (uintptr_t)reeve_switch_behind;
}

#else

static void enter(unsigned high, unsigned low, unsigned arg_high, unsigned arg_low)
{
    void (*entry)(void *) = (void (*)(void *))(((uintptr_t)high << 16 << 16) | low);

    entry((void *)(((uintptr_t)arg_high << 16 << 16) | arg_low));
}

void switch_prepare(struct switch_context *context, void *stack, size_t size,
                    void (*entry)(void *arg), void *arg)
{
    uintptr_t e = (uintptr_t)entry, a = (uintptr_t)arg;

    getcontext(&context->context);
    context->context.uc_stack.ss_sp = stack;
    context->context.uc_stack.ss_size = size;
    context->context.uc_link = NULL;
    /* makecontext passes ints only. */
    makecontext(&context->context, (void (*)(void))enter, 4, (unsigned)(e >> 16 >> 16), (unsigned)e,
                (unsigned)(a >> 16 >> 16), (unsigned)a);
}

void switch_to(struct switch_context *from, struct switch_context *to)
{
    swapcontext(&from->context, &to->context);
}

bool switch_behind(const struct switch_context *context, void (*fn)(void *arg), void *arg)
{
    (void)context, (void)fn, (void)arg;
    return false;
}

uintptr_t switch_behind_begin(void)
{
    return 0;
}

#endif
