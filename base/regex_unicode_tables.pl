#!/usr/bin/perl
# Prints regex_unicode_tables.c: general categories, scripts and simple case
# folding from the Unicode data that comes with Perl.
#     perl base/regex_unicode_tables.pl > base/regex_unicode_tables.c
use strict;
use warnings;
use Unicode::UCD qw(prop_invlist prop_invmap prop_values prop_value_aliases);

my @bytes;
my @names;

# Append the ranges of a property: gap from the last end and length less one, as varints.
sub add_table {
    my ($name, @list) = @_;
    push @list, 0x110000 if @list % 2;
    my ($last, $count, $start) = (0, 0, scalar @bytes);
    for (my $i = 0; $i < @list; $i += 2) {
        add_varint($list[$i] - $last);
        add_varint($list[$i + 1] - 1 - $list[$i]);
        $last = $list[$i + 1];
        $count++;
    }
    push @names, [$name, $start, $count];
}

sub add_varint {
    my ($v) = @_;
    while ($v >= 128) {
        push @bytes, ($v & 127) | 128;
        $v >>= 7;
    }
    push @bytes, $v;
}

my %tables;
for my $category (prop_values("Gc")) {
    my ($short) = prop_value_aliases("Gc", $category);
    next if $short !~ /^[A-Z][a-z]$/ || $short eq "Cn" || $short eq "LC";
    $tables{$short} = [prop_invlist("Gc=$short")];
}
for my $script (prop_values("Script")) {
    my ($short, $long) = prop_value_aliases("Script", $script);
    next if !defined $long;
    next if $long =~ /^(Unknown|Katakana_Or_Hiragana)$/;
    my @list = prop_invlist("Script=$long");
    $tables{$long} = \@list if @list;
}
add_table($_, @{$tables{$_}}) for sort keys %tables;

# Orbits of simple case folding: every member's successor, the largest goes back to the smallest.
my ($starts, $maps) = prop_invmap("Simple_Case_Folding");
my %orbits;
for my $i (0 .. $#$starts) {
    next if $maps->[$i] == 0;
    my $end = $i < $#$starts ? $starts->[$i + 1] : 0x110000;
    for my $c ($starts->[$i] .. $end - 1) {
        push @{$orbits{$maps->[$i] + $c - $starts->[$i]}}, $c;
    }
}
my %next;
for my $folded (keys %orbits) {
    my @members = sort { $a <=> $b } $folded, @{$orbits{$folded}};
    $next{$members[$_]} = $members[($_ + 1) % @members] for 0 .. $#members;
}
# Runs of one distance; `step` 2 when only every other code point takes part.
my @folds;
for my $c (sort { $a <=> $b } keys %next) {
    my $delta = $next{$c} - $c;
    my $last = @folds ? $folds[-1] : undef;
    if ($last && $last->[2] == $delta && $c == $last->[1] + 1) {
        $last->[1] = $c;
    } else {
        push @folds, [$c, $c, $delta];
    }
}
# Pairs that lie side by side (A a B b ...) become one run with distance 0: "swap within the pair".
my @merged;
for (my $i = 0; $i < @folds; $i++) {
    my ($lo, $hi, $delta) = @{$folds[$i]};
    if ($lo == $hi && $delta == 1 && $i < $#folds && $folds[$i + 1][0] == $lo + 1
        && $folds[$i + 1][1] == $lo + 1 && $folds[$i + 1][2] == -1) {
        my $last = @merged ? $merged[-1] : undef;
        if ($last && $last->[2] == 0 && $last->[1] + 1 == $lo) {
            $last->[1] = $lo + 1;
        } else {
            push @merged, [$lo, $lo + 1, 0];
        }
        $i++;
    } else {
        push @merged, $folds[$i];
    }
}

my $version = Unicode::UCD::UnicodeVersion();
print <<"END";
/*
 * regex_unicode_tables.c - Unicode $version categories, scripts and case folding.
 *
 * Written by regex_unicode_tables.pl; do not edit.  A table is a sequence of
 * ranges, each two varints: the gap from the end of the range before (one past
 * its last code point), and the number of code points less one.
 */
#include "base/regex_unicode.h"

/* clang-format off */
const uint8_t unicode_table_bytes[] = {
END
sub wrap {
    my $line = "   ";
    for my $item (@_) {
        if (length("$line $item,") > 98) {
            print "$line\n";
            $line = "   ";
        }
        $line .= " $item,";
    }
    print "$line\n";
}
wrap(@bytes);
print "};\n\nconst struct unicode_table unicode_tables[] = {\n";
wrap(map { "{\"$_->[0]\", $_->[1], $_->[2]}" } @names);
print "};\nconst size_t unicode_table_count = ", scalar(@names), ";\n\n";
print "const struct unicode_fold unicode_folds[] = {\n";
wrap(map { "{$_->[0], $_->[1], $_->[2]}" } @merged);
print "};\nconst size_t unicode_fold_count = ", scalar(@merged), ";\n";
