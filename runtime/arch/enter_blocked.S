// tricolor_enter_blocked(thread) and tricolor_enter_blocking_scope(): the two ways into kBlocked.
//
// Code that waits keeps references in callee-saved registers. A compiled function saves those in its own frame
// before its first statement, and the frame is gone when it returns, while the wait goes on. These entries have
// no prologue: they store the registers as the caller has them, in the order of arch::Registers, and hand them,
// with the stack pointer that the caller goes on with, to a function that copies them.
//
//   x86-64    target(rdi as it came, rsi = registers, rdx = the caller's stack pointer)
//   AArch64   target(x0 as it came, x1 = registers, x2 = the caller's stack pointer)
//
// Results pass through.

#if defined(__x86_64__)

#if defined(__CET__)
#include <cet.h>
#endif

.macro entry name, target
    .text
    .p2align 4
    .globl \name
    .type \name, @function
\name:
    .cfi_startproc
    endbr64
    leaq 8(%rsp), %rdx
    subq $56, %rsp                  // six words and one for the alignment at the call
    .cfi_adjust_cfa_offset 56
    movq %rbx, 0(%rsp)
    movq %rbp, 8(%rsp)
    movq %r12, 16(%rsp)
    movq %r13, 24(%rsp)
    movq %r14, 32(%rsp)
    movq %r15, 40(%rsp)
    movq %rsp, %rsi
    call \target
    addq $56, %rsp
    .cfi_adjust_cfa_offset -56
    ret
    .cfi_endproc
    .size \name, . - \name
.endm

#elif defined(__aarch64__)

.macro entry name, target
    .text
    .p2align 4
    .globl \name
    .type \name, %function
\name:
    .cfi_startproc
    hint #34                        // bti c
    mov x2, sp
    stp x29, x30, [sp, #-176]!
    .cfi_def_cfa_offset 176
    .cfi_offset x29, -176
    .cfi_offset x30, -168
    stp x19, x20, [sp, #16]
    stp x21, x22, [sp, #32]
    stp x23, x24, [sp, #48]
    stp x25, x26, [sp, #64]
    stp x27, x28, [sp, #80]
    stp x29, x30, [sp, #96]
    stp d8, d9, [sp, #112]
    stp d10, d11, [sp, #128]
    stp d12, d13, [sp, #144]
    stp d14, d15, [sp, #160]
    mov x29, sp
    add x1, sp, #16
    bl \target
    ldp x29, x30, [sp], #176
    .cfi_restore x29
    .cfi_restore x30
    .cfi_def_cfa_offset 0
    ret
    .cfi_endproc
    .size \name, . - \name
.endm

#endif

.hidden tricolor_enter_blocked
.hidden tricolor_block
.hidden tricolor_block_scope

entry tricolor_enter_blocked, tricolor_block
entry tricolor_enter_blocking_scope, tricolor_block_scope

.section .note.GNU-stack, "", %progbits
