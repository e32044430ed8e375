#!/bin/sh
# Plants each fault of mutants.txt into a copy of the RTL and expects the comparison with the
# reference, or an assertion, to find it; the unchanged RTL must pass.
#
#   run_mutants.sh SOURCE_DIR WORK_DIR [NAME...]      all faults, or those named
set -eu
source=$1
work=$2
shift 2

include=$(verilator --getenv VERILATOR_ROOT)/include
compile() {
    g++ -std=c++20 -O1 -w -DVM_TRACE=1 -DVM_TRACE_VCD=1 -DVM_TRACE_FST=0 -DVM_COVERAGE=0 -DVM_SC=0 \
        "-I$source" "-I$source/tests/rtl" "-I$include" "-I$include/vltstd" "$@"
}

# attempt NAME: builds $work/NAME/rtl and runs it. 0: found nothing, 1: found something, more: does
# not build.
attempt() {
    folder=$work/$1
    (
        cd "$folder"
        verilator --cc --trace --assert --no-timing -Wno-fatal --prefix Vtlb_mutant --Mdir obj \
            --top-module tlb -GNumEntries=32 -GNumWays=4 \
            rtl/lint.vlt rtl/tlb_pkg.sv rtl/tlb_match.sv rtl/tlb_plru.sv rtl/tlb.sv rtl/tlb_port_sva.sv rtl/tlb_inner_sva.sv
        # One translation unit: each takes longer to read its headers than to compile.
        for file in obj/*.cpp "$source/tests/rtl/mutant_main.cpp"; do
            echo "#include \"$file\""
        done >all.cpp
        compile -Iobj -I. all.cpp "$work"/support/*.o -o run -pthread
    ) >"$folder/build.log" 2>&1 || return 2
    "$folder/run" >"$folder/run.log" 2>&1
}

# plant NAME FILE FROM TO: the fault in a copy of its own; prints what became of it.
plant() {
    folder=$work/$1
    mkdir "$folder"
    cp -r "$source/rtl" "$folder/rtl"
    FROM=$3 TO=$4 perl -0pi -e '
        my ($from, $to) = ($ENV{FROM}, $ENV{TO});
        my $n = () = /\Q$from\E/g;
        die "text occurs $n times\n" if $n != 1;
        s/\Q$from\E/$to/;' "$folder/$2" || { echo "FAILED  $1: not planted"; return; }
    status=0
    attempt "$1" || status=$?
    case $status in
        0) echo "MISSED  $1" ;;
        1) echo "found   $1: $(grep -E '^(lockstep|assertions)' "$folder/run.log" | head -1)" ;;
        *) echo "FAILED  $1 does not build, or crashes"; tail -5 "$folder"/*.log ;;
    esac
    rm -rf "${folder:?}"
}

if [ "${1:-}" = --one ]; then # one line of mutants.txt, from the loop below
    line=$2
    name=${line%% | *}
    rest=${line#* | }
    file=${rest%% | *}
    rest=${rest#* | }
    plant "$name" "$file" "${rest%% | *}" "${rest#* | }"
    exit
fi

rm -rf "$work"
mkdir -p "$work/support" "$work/unchanged"
for file in "$source/cosim/rtl/rtl_context.cpp" "$source/cosim/rtl/vcd_file.cpp" \
    "$source/hw/mmu/tlb_array.cpp" "$include/verilated.cpp" "$include/verilated_threads.cpp" \
    "$include/verilated_vcd_c.cpp"; do
    compile -c "$file" -o "$work/support/$(basename "$file" .cpp).o"
done
cp -r "$source/rtl" "$work/unchanged/rtl"
if attempt unchanged; then echo "ok      unchanged: nothing found"; else
    echo "FAILED  the unchanged RTL differs from the reference, or does not build"
    cat "$work"/unchanged/*.log
    exit 1
fi

while IFS= read -r line; do
    case $line in '' | '#'*) continue ;; esac
    if [ $# -gt 0 ]; then
        case " $* " in *" ${line%% | *} "*) ;; *) continue ;; esac
    fi
    printf '%s\0' "$line"
done <"$source/tests/rtl/mutants.txt" >"$work/planned"
xargs -0 -n 1 -P "$(nproc)" "$0" "$source" "$work" --one <"$work/planned" | tee "$work/results"
planned=$(tr -cd '\0' <"$work/planned" | wc -c)
found=$(grep -c '^found' "$work/results" || true)
echo "$planned faults planted, $((planned - found)) missed"
[ "$found" = "$planned" ] && [ "$planned" -gt 0 ]
