/* switch_x86_64.S: saves what the System V ABI calls callee-saved, swaps the stack pointer, restores.
 *
 * mxcsr and the x87 control word belong to that as well: an app that changes its rounding mode keeps it to itself. */
#if defined(__x86_64__)

    .text

/* void reeve_switch(void **save_sp, void *load_sp) */
    .globl reeve_switch
    .hidden reeve_switch
    .type reeve_switch, @function
    .p2align 4
reeve_switch:
    .cfi_startproc
    pushq %rbp
    .cfi_adjust_cfa_offset 8
    pushq %rbx
    .cfi_adjust_cfa_offset 8
    pushq %r12
    .cfi_adjust_cfa_offset 8
    pushq %r13
    .cfi_adjust_cfa_offset 8
    pushq %r14
    .cfi_adjust_cfa_offset 8
    pushq %r15
    .cfi_adjust_cfa_offset 8
    subq $8, %rsp
    .cfi_adjust_cfa_offset 8
    stmxcsr (%rsp)
    fnstcw 4(%rsp)
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    ldmxcsr (%rsp)
    fldcw 4(%rsp)
    addq $8, %rsp
    .cfi_adjust_cfa_offset -8
    popq %r15
    .cfi_adjust_cfa_offset -8
    popq %r14
    .cfi_adjust_cfa_offset -8
    popq %r13
    .cfi_adjust_cfa_offset -8
    popq %r12
    .cfi_adjust_cfa_offset -8
    popq %rbx
    .cfi_adjust_cfa_offset -8
    popq %rbp
    .cfi_adjust_cfa_offset -8
    ret
    .cfi_endproc
    .size reeve_switch, . - reeve_switch

/* void reeve_switch_behind(void *sp, void (*fn)(void *), void *arg): calls fn(arg) on the caller's stack, but tells
 * whoever unwinds that the call was made from `sp`, a stack as reeve_switch leaves it: by what is said below, the frame
 * before this one is found from rbx. Nothing is written there. */
    .globl reeve_switch_behind
    .hidden reeve_switch_behind
    .type reeve_switch_behind, @function
    .p2align 4
reeve_switch_behind:
    .cfi_startproc
    pushq %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbx, 0
    movq %rdi, %rbx
    movq %rsi, %rax
    movq %rdx, %rdi
    .cfi_remember_state
    .cfi_def_cfa %rbx, 64
    .cfi_offset %rbp, -16
    .cfi_offset %rbx, -24
    .cfi_offset %r12, -32
    .cfi_offset %r13, -40
    .cfi_offset %r14, -48
    .cfi_offset %r15, -56
    callq *%rax
    .cfi_restore_state
    popq %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbx
    ret
    .cfi_endproc
    .size reeve_switch_behind, . - reeve_switch_behind

/* The first code on a fresh stack: r12 is the entry, r13 its argument (switch.c laid them there). The return address is
 * undefined and zero, so that a debugger's walk ends here. */
    .globl reeve_switch_entry
    .hidden reeve_switch_entry
    .type reeve_switch_entry, @function
    .p2align 4
reeve_switch_entry:
    .cfi_startproc
    .cfi_undefined rip
    movq %r13, %rdi
    callq *%r12
    ud2
    .cfi_endproc
    .size reeve_switch_entry, . - reeve_switch_entry

#endif

    .section .note.GNU-stack, "", %progbits
