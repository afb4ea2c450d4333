"""Prints what openpyxl reads in workbooks, as JSON: by path, what a person sees of each sheet."""

import json
import sys

import openpyxl


def describe_style(cell):
    parts = [cell.font, cell.fill, cell.border, cell.alignment, cell.protection]
    return " ".join(repr(part) for part in parts)


def describe_cell(cell):
    return {
        "value": str(cell.value),
        "type": cell.data_type,
        "format": cell.number_format,
        "style": describe_style(cell),
    }


def describe_comments(sheet):
    cells = (cell for row in sheet.iter_rows() for cell in row if cell.comment)
    return [f"{cell.coordinate} {cell.comment.text}" for cell in cells]


def describe_sheet(sheet):
    conditional = sheet.conditional_formatting
    return {
        "cells": {
            cell.coordinate: describe_cell(cell)
            for row in sheet.iter_rows()
            for cell in row
            if cell.value is not None or cell.has_style
        },
        "kept": {
            "state": sheet.sheet_state,
            "merged": sorted(str(area) for area in sheet.merged_cells.ranges),
            "comments": describe_comments(sheet),
            "freeze": sheet.freeze_panes,
            "charts": len(sheet._charts),
            "hidden rows": [n for n, row in sheet.row_dimensions.items() if row.hidden],
            "heights": [[n, row.height] for n, row in sheet.row_dimensions.items()],
            "validations": [
                f"{rule.sqref} {rule.type} {rule.formula1}"
                for rule in sheet.data_validations.dataValidation
            ],
            "conditional": [
                f"{area.sqref} {rule.type} {rule.formula}"
                for area in conditional
                for rule in area.rules
            ],
        },
        "ranges": [sheet.auto_filter.ref, *(table.ref for table in sheet.tables.values())],
        "table columns": [table.column_names for table in sheet.tables.values()],
    }


def describe_workbook(path):
    book = openpyxl.load_workbook(path)
    names = {name: defined.attr_text for name, defined in book.defined_names.items()}
    sheets = {sheet.title: describe_sheet(sheet) for sheet in book.worksheets}
    return {"names": names, "sheets": sheets}


json.dump({path: describe_workbook(path) for path in sys.argv[1:]}, sys.stdout)
