# The probe guest of kvm-probe.ts: a 64 KiB ROM, mapped at 0xF0000, started at its reset vector. It climbs from real mode to long
# mode, does there what a kernel does early (16-byte compare-and-swap, page table reloads, FPU state, a breakpoint through an IDT) and
# leaves through the debug-exit port: QEMU's exit status is 2 * 0x31 + 1 = 99 when all of it worked.
# Rebuild: see the head of kvm-probe.rom.ts.
        .intel_syntax noprefix
        .set    BASE, 0xf0000
        .set    GOOD, 0x31
        .set    BAD, 0x21
        .text
        .code16
start:
        cli
        mov     ax, 0xf000
        mov     ds, ax
        lgdtd   [gdt_pointer]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        .byte   0x66, 0xea              # far jump with a 32-bit offset into the 32-bit code segment
        .long   BASE + protected
        .word   0x08

        .code32
protected:
        mov     ax, 0x10
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     esp, 0x7000
        cld                             # three empty tables at 0x1000..0x3fff, then one 2 MiB page at address 0: ROM and RAM lie in it
        mov     edi, 0x1000
        mov     ecx, 0xc00
        xor     eax, eax
        rep stosd
        mov     dword ptr [0x1000], 0x2003
        mov     dword ptr [0x2000], 0x3003
        mov     dword ptr [0x3000], 0x0083
        mov     eax, 0x1000
        mov     cr3, eax
        mov     eax, cr4
        or      eax, 0x620              # PAE, OSFXSR, OSXMMEXCPT
        mov     cr4, eax
        mov     ecx, 0xc0000080         # EFER: long mode, syscall
        rdmsr
        or      eax, 0x101
        wrmsr
        mov     eax, cr0
        and     eax, 0xfffffffb         # no FPU emulation
        or      eax, 0x80000002         # paging, monitor coprocessor
        mov     cr0, eax
        .byte   0xea
        .long   BASE + long_mode
        .word   0x18

        .code64
long_mode:
        mov     rsp, 0x7000
        # the compare-and-swap of two words: stores rcx:rbx where rdx:rax was
        mov     rdi, 0x8000
        xor     eax, eax
        xor     edx, edx
        mov     [rdi], rax
        mov     [rdi + 8], rax
        mov     ebx, 0xbeef
        mov     ecx, 0xcafe
        lock cmpxchg16b [rdi]
        jnz     bad
        cmp     dword ptr [rdi + 8], 0xcafe
        jne     bad
        # FPU state out and in again
        fninit
        fxsave64 [rdi + 0x100]
        fxrstor64 [rdi + 0x100]
        # page tables and model-specific registers, often enough that one-by-one emulation shows
        mov     esi, 1500
again:
        mov     rax, cr3
        mov     cr3, rax
        invlpg  [rdi]
        mov     ecx, 0xc0000080
        rdmsr
        dec     esi
        jnz     again
        # a breakpoint (vector 3) through an interrupt table at 0x9000
        mov     edi, 0x9000
        lea     rax, [rip + breakpoint]
        mov     [rdi + 0x30], ax
        mov     word ptr [rdi + 0x32], 0x18
        mov     word ptr [rdi + 0x34], 0x8e00
        shr     rax, 16
        mov     [rdi + 0x36], ax
        shr     rax, 16
        mov     [rdi + 0x38], rax
        mov     word ptr [0x8ff0], 0x3ff
        mov     qword ptr [0x8ff2], 0x9000
        lidt    [0x8ff0]
        xor     r15d, r15d
        int3
        cmp     r15d, 0x1234
        jne     bad
        mov     al, GOOD
        jmp     leave
bad:    mov     al, BAD
leave:  out     0xf4, al
stay:   hlt
        jmp     stay
breakpoint:
        mov     r15d, 0x1234
        iretq

        .balign 8
gdt:    .quad   0
        .quad   0x00cf9b000000ffff      # 0x08: 32-bit code
        .quad   0x00cf93000000ffff      # 0x10: data
        .quad   0x00af9b000000ffff      # 0x18: 64-bit code
gdt_pointer:
        .word   31
        .long   BASE + gdt
