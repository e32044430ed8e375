#!/bin/sh
# Plants each fault of mutants.txt into a copy of the RTL and expects the comparison with the
# reference, or an assertion, to find it; the unchanged RTL must pass.
#
#   run_mutants.sh SOURCE_DIR WORK_DIR [NAME...]      all faults, or those named
set -eu
source=$1
work=$2
shift 2
rm -rf "$work"
mkdir -p "$work"

# attempt NAME: builds $work/NAME/rtl and runs it. 0: found nothing, 1: found something.
attempt() {
    folder=$work/$1
    (
        cd "$folder"
        verilator --cc --exe --build -j 1 --trace --assert --no-timing -Wno-fatal \
            --prefix Vtlb_mutant --Mdir obj -o run --top-module tlb -GNumEntries=32 -GNumWays=4 \
            -CFLAGS "-std=c++20 -I$source -I$source/tests/rtl" \
            -MAKEFLAGS 'OPT_FAST=-O1 OPT_SLOW=-O0 OPT_GLOBAL=-O0' \
            rtl/lint.vlt rtl/tlb_pkg.sv rtl/tlb_match.sv rtl/tlb_plru.sv rtl/tlb.sv rtl/tlb_sva.sv \
            "$source/tests/rtl/mutant_main.cpp" "$source/cosim/rtl/rtl_context.cpp" \
            "$source/cosim/rtl/vcd_file.cpp" "$source/hw/mmu/tlb_array.cpp" >build.log 2>&1
    ) || { echo "FAILED  $1 does not build"; tail -5 "$folder/build.log"; exit 1; }
    "$folder/obj/run" >"$folder/run.log" 2>&1
}

mkdir "$work/unchanged"
cp -r "$source/rtl" "$work/unchanged/rtl"
if attempt unchanged; then echo "ok      unchanged: nothing found"; else
    echo "FAILED  the unchanged RTL differs from the reference"
    exit 1
fi

missed=0
tried=0
while IFS= read -r line; do
    case $line in '' | '#'*) continue ;; esac
    name=${line%% | *}
    rest=${line#* | }
    file=${rest%% | *}
    rest=${rest#* | }
    from=${rest%% | *}
    to=${rest#* | }
    if [ $# -gt 0 ]; then
        case " $* " in *" $name "*) ;; *) continue ;; esac
    fi
    mkdir "$work/$name"
    cp -r "$source/rtl" "$work/$name/rtl"
    FROM=$from TO=$to perl -0pi -e '
        my ($from, $to) = ($ENV{FROM}, $ENV{TO});
        my $n = () = /\Q$from\E/g;
        die "text occurs $n times\n" if $n != 1;
        s/\Q$from\E/$to/;' "$work/$name/$file"
    tried=$((tried + 1))
    if attempt "$name"; then
        echo "MISSED  $name"
        missed=$((missed + 1))
    else
        echo "found   $name: $(grep -E '^(lockstep|assertions)' "$work/$name/run.log" | head -1)"
    fi
    rm -rf "${work:?}/$name"
done <"$source/tests/rtl/mutants.txt"
echo "$tried faults planted, $missed missed"
[ "$missed" = 0 ] && [ "$tried" -gt 0 ]
