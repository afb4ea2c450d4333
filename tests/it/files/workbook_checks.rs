//! The checker of workbooks notices faults that readers accept and Excel repairs.

use crate::support::excel_workbook::{ExcelWorkbook, FILTER, SHEET, TABLE_COLUMNS};
use crate::support::workbook_checker::check_workbook;

#[test]
fn every_fault_of_a_part_is_noticed() {
    let list = ExcelWorkbook::staff_list();
    let table = list.clone().with_table("ref=\"A3:F8\"", TABLE_COLUMNS);
    let table_part = "xl/tables/table1.xml";
    let header = "<c r=\"B3\" s=\"1\" t=\"s\"><v>2</v></c>";
    let long = format!("<c r=\"B3\" t=\"inlineStr\"><is><t>{}</t></is></c>", "x".repeat(32_768));
    for (workbook, part, from, to, expected) in [
        (&list, SHEET, header, &*format!("{header}{header}"), "not in order in row 3"),
        (&list, SHEET, "r=\"B3\"", "r=\"H3\"", "not in order in row 3"),
        (&list, SHEET, "r=\"B3\"", "r=\"B4\"", "not in order in row 3"),
        (&list, SHEET, "<row r=\"9\"", "<row r=\"8\"", "row 8 follows row 8"),
        (&list, SHEET, "<row r=\"9\"", "<row r=\"1048577\"", "row 1048577 follows"),
        (&list, SHEET, "spans=\"1:7\"", "spans=\"1:5\"", "the spans of row"),
        (&list, SHEET, "ref=\"A1:G9\"", "ref=\"A1:F9\"", "the dimension"),
        (&list, SHEET, "s=\"4\"", "s=\"5\"", "its style does not exist"),
        (&list, SHEET, "<v>2</v>", "<v>99</v>", "its shared string does not exist"),
        (
            &list,
            SHEET,
            "<c r=\"A9\" s=\"2\" t=\"s\">",
            "<c r=\"A9\" s=\"2\" t=\"inlineStr\">",
            "inline",
        ),
        (&list, SHEET, "<c r=\"A9\" s=\"2\" t=\"s\">", "<c r=\"A9\" s=\"2\" t=\"x\">", "unknown"),
        (&list, SHEET, header, &*long, "too long"),
        (&list, SHEET, "<cols>", "<cols><col min=\"4\" max=\"6\"/>", "col 4 to 4 follows 6"),
        (&list, SHEET, "max=\"4\"", "max=\"16385\"", "col 4 to 16385"),
        (&list, SHEET, "<sheetData>", "<pageMargins/><sheetData>", "sheetData is not in order"),
        (
            &list,
            SHEET,
            "<mergeCells count=\"1\">",
            "<mergeCells><mergeCell ref=\"B1:C2\"/>",
            "overlap",
        ),
        (&list, SHEET, FILTER, &*FILTER.replace("A3:F8", "A3:G8"), "the name of the filter"),
        (&list, SHEET, "</row>", "</rov>", SHEET),
        (&list, "xl/styles.xml", "cellXfs count=\"5\"", "cellXfs count=\"6\"", "count of cellXfs"),
        (&table, table_part, " ref=\"A3:F8\"", " ref=\"A3:G8\"", "not as many"),
        (&table, table_part, "count=\"6\"", "count=\"7\"", "not as many"),
        (&table, table_part, "id=\"9\"", "id=\"5\"", "one id or one name"),
        (&table, table_part, "name=\"工资\"", "name=\"工号\"", "one id or one name"),
        (&table, table_part, "name=\"工资\"", "name=\"薪资\"", "not called as its header"),
        (
            &table,
            table_part,
            "<autoFilter ref=\"A3:F8\"/>",
            "<autoFilter ref=\"A3:E8\"/>",
            "autoFilter",
        ),
    ] {
        assert_eq!(check_workbook(&workbook.pack()), Vec::<String>::new());
        let found = check_workbook(&workbook.clone().with(part, from, to).pack());
        assert!(found.iter().any(|fault| fault.contains(expected)), "{expected}: {found:?}");
    }
}

#[test]
fn every_fault_of_the_archive_is_noticed() {
    let workbook = ExcelWorkbook::staff_list().pack();
    let position = |bytes: &[u8], from: usize| {
        from + workbook[from..].windows(bytes.len()).position(|window| window == bytes).unwrap()
    };
    let directory = position(b"PK\x01\x02", 0);
    for (at, expected) in [
        // The name beside the data, the method, the checksum and the offset in the directory.
        (30, "its two headers differ"),
        (8, "its two headers differ"),
        (directory + 16, "differ"),
        (directory + 42, "does not follow"),
    ] {
        let mut damaged = workbook.clone();
        damaged[at] ^= 1;
        let found = std::panic::catch_unwind(|| check_workbook(&damaged));
        // What no reader can open at all is noticed too.
        let is_noticed = found.is_err()
            || found.is_ok_and(|found| found.iter().any(|fault| fault.contains(expected)));
        assert!(is_noticed, "{at}: {expected}");
    }
    let mut gap = workbook.clone();
    gap.insert(position(b"PK\x03\x04", 4), 0);
    let found = std::panic::catch_unwind(|| check_workbook(&gap));
    assert!(!found.is_ok_and(|found| found.is_empty()));
}
